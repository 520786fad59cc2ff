import { describe, expect, test } from "vitest";
import type { Configuration } from "../../src/config/configuration.ts";
import { factoryLookup } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { BUILT_IN_FACTORIES } from "../../src/service/built-in.ts";

/** The forms in which Collector files are written; test/peers/config asks the real Collector about each. */

const factories = factoryLookup(BUILT_IN_FACTORIES);

interface Written {
  readonly grpc?: string;
  readonly http?: string;
  readonly exporter?: string;
  readonly telemetry?: string;
}

function load({ grpc = "", http = "", exporter = "otlp_grpc: {endpoint: 'a:1'}", telemetry = "" }: Written) {
  const name = exporter.slice(0, exporter.indexOf(":"));
  const text = `receivers: {otlp: {protocols: {grpc: {${grpc}}, http: {${http}}}}}
exporters: {${exporter}}
service: {telemetry: {${telemetry}}, pipelines: {logs: {receivers: [otlp], exporters: [${name}]}}}`;
  return loadConfiguration({ files: [{ name: "x.yaml", text }], env: { ORIGINS: "https://a,https://b" }, factories });
}

function accepted(written: Written): Configuration {
  const result = load(written);
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.configuration;
}

function problems(written: Written): string {
  const result = load(written);
  return result.ok ? "" : formatProblems(result.problems);
}

const exporterOf = (written: Written): unknown => [...accepted(written).exporters.values()][0]?.config;
const receiverOf = (written: Written): unknown => accepted(written).receivers.get("otlp")?.config;
const grpcExporter = (more: string): Written => ({ exporter: `otlp_grpc: {endpoint: 'a:1', ${more}}` });
const httpExporter = (body: string): Written => ({ exporter: `otlp_http: {${body}}` });

describe("a time", () => {
  test("of 0 needs no unit, and any other does", () => {
    expect(exporterOf(grpcExporter("timeout: 0, retry_on_failure: {max_elapsed_time: 0}"))).toMatchObject({
      timeout: 0,
      retry_on_failure: { max_elapsed_time: 0 },
    });
    expect(problems(grpcExporter("timeout: 5"))).toContain(
      'found 5 (number), expected a duration string\n  write "5s"',
    );
  });

  test("of a reader is milliseconds where it is a number", () => {
    const periodic = (more: string): string =>
      `metrics: {readers: [{periodic: {${more} exporter: {otlp: {endpoint: 'http://a'}}}}]}`;
    const readerOf = (more: string): unknown =>
      accepted({ telemetry: periodic(more) }).service.telemetry.metrics.readers?.[0]?.periodic;
    expect(readerOf("interval: 5000, timeout: 2s,")).toMatchObject({ interval: 5_000, timeout: 2_000 });
    expect(readerOf("")).toMatchObject({ interval: 60_000, timeout: 30_000 });
    expect(problems({ telemetry: periodic("interval: 0,") })).toContain("must be greater than zero");
  });
});

describe("one text where texts are listed", () => {
  test.each([
    ["'*'", ["*"]],
    ["'https://a,https://b'", ["https://a", "https://b"]],
    ["'${env:ORIGINS}'", ["https://a", "https://b"]],
    ["''", []],
  ])("%s is the list %j", (written, allowed_origins) => {
    expect(receiverOf({ http: `cors: {allowed_origins: ${written}}` })).toMatchObject({
      protocols: { http: { cors: { allowed_origins } } },
    });
  });

  test("is told of by itself where one of its parts is wrong", () => {
    expect(problems({ exporter: "debug: {output_paths: stdoutt}" })).toBe(`x.yaml:2:35  exporters.debug.output_paths[0]
  found "stdoutt" (string), expected one of "stdout", "stderr"
  write stdout or stderr; files are not supported`);
  });

  test("does not stand for a number, a map or a list of ids", () => {
    expect(problems({ http: "cors: {allowed_origins: 5}" })).toContain("found 5 (number), expected a list");
    expect(problems({ telemetry: "metrics: {readers: x}" })).toContain("found a string, expected a list");
  });
});

describe("what says nothing", () => {
  test("is absent: empty texts, keys that stand alone, empty lists, a TPM that is off", () => {
    const tls = "tls: {ca_file: '', server_name_override: '', min_version: '', max_version: '', tpm: {enabled: false}}";
    const config = exporterOf(grpcExporter(`${tls}, auth: , middlewares: [], balancer_name: '', authority: ''`));
    expect(config).toMatchObject({ tls: { min_version: "1.2" }, balancer_name: "pick_first" });
    expect(config).not.toHaveProperty("tls.ca_file", "");
    expect(exporterOf(httpExporter("endpoint: 'http://a', metrics_endpoint: '', proxy_url: ''"))).toMatchObject({
      endpoint: "http://a",
      metrics_endpoint: undefined,
      proxy_url: undefined,
    });
  });

  test.each([
    ["tls: {tpm: {enabled: true}}", "keys in a TPM are not supported"],
    ["auth: {authenticator: x}", "names an authenticator extension"],
    ["middlewares: [{id: x}]", "is not supported yet"],
  ])("but %s does say something, and is refused", (more, message) => {
    expect(problems(grpcExporter(more))).toContain(message);
  });

  test("is also what stands in a queue that is off", () => {
    const inside = "num_consumers: 0, queue_size: -3, batch: {min_size: 10, max_size: 5}";
    expect(problems(grpcExporter(`sending_queue: {enabled: false, ${inside}}`))).toBe("");
    const said = problems(grpcExporter(`sending_queue: {${inside}}`));
    expect(said).toContain("`num_consumers` must be positive");
    expect(said).toContain("`queue_size` must be positive, found -3 (number)");
    expect(said).toContain("`max_size` (5) must be greater or equal to `min_size` (10)");
  });
});

describe("the name behind the slash of an id", () => {
  const named = (name: string): string => problems({ exporter: `'debug/${name}': ` });

  test.each(["a b", "a+b", "a=b", "a\u200bb"])("is refused as %j", (name) => {
    expect(named(name)).toContain('the part after "/" must not hold spaces, control characters or signs');
  });

  test.each(["a-b.c", "a/b", "日本", "1"])("may be %j", (name) => {
    expect(named(name)).not.toContain("the part after");
  });
});

describe("a level", () => {
  test.each([
    ["WARNING", "warn"],
    ["Fatal", "error"],
    ["''", "info"],
  ])("%s of the log is %s", (written, level) => {
    expect(accepted({ telemetry: `logs: {level: ${written}}` }).service.telemetry.logs.level).toBe(level);
  });

  test("may be written in any case", () => {
    expect(exporterOf({ exporter: "debug: {verbosity: Detailed}" })).toMatchObject({ verbosity: "detailed" });
    expect(accepted({ telemetry: "metrics: {level: Basic}" }).service.telemetry.metrics.level).toBe("basic");
    expect(problems({ exporter: "debug: {verbosity: Detaild}" })).toContain('did you mean "detailed"?');
  });
});
