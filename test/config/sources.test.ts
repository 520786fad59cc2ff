import { describe, expect, it } from "vitest";
import { loadConfiguration } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { readSources } from "../../src/config/sources.ts";
import { TEST_LOOKUP } from "./test-factories.ts";

const MAIN = `receivers: {otlp: {protocols: {grpc: }}}
processors: {batch: {timeout: 1s}}
exporters: {otlp_grpc: {endpoint: "backend:4317", headers: {A: b}}}
service: {pipelines: {logs: {receivers: [otlp], processors: [batch], exporters: [otlp_grpc]}}}
`;

function read(configs: readonly string[], sets: readonly string[] = [], env: Record<string, string> = {}) {
  const readText = (path: string): { text: string } | { problem: string } =>
    path === "main.yaml" ? { text: MAIN } : { problem: "there is no such file" };
  return readSources({ configs, sets, env, readText });
}

function said(configs: readonly string[], sets: readonly string[] = [], env: Record<string, string> = {}): string {
  const result = loadConfiguration({ files: read(configs, sets, env).files, env, factories: TEST_LOOKUP });
  return formatProblems([...(result.ok ? [] : result.problems), ...result.warnings]);
}

describe("--config", () => {
  it("names a file, with or without a scheme, a variable, or YAML", () => {
    const { files, problems } = read(["main.yaml", "file:main.yaml", "env:X", "env:UNSET", "yaml:a: 1"], [], {
      X: "x",
    });
    expect(files.map(({ name, text }) => [name, text.slice(0, 9)])).toEqual([
      ["main.yaml", "receivers"],
      ["main.yaml", "receivers"],
      ["env:X", "x"],
      ["env:UNSET", ""],
      ["--config yaml", "a: 1"],
    ]);
    expect(problems).toEqual([]);
  });

  it("says all that is wrong with its arguments at once", () => {
    expect(read(["none.yaml", "http://host/x", "fil:x"], ["x"]).problems).toEqual([
      "--config none.yaml: there is no such file",
      '--config: unsupported scheme "http", expected env, file, yaml\n  a file whose name has a colon is written as file:NAME',
      '--config: unsupported scheme "fil", expected env, file, yaml\n  did you mean "file"?',
      '--set "x": missing equal sign\n  write it as --set processors.batch.timeout=2s',
    ]);
  });

  it("takes a drive letter for part of a file's name", () => {
    expect(read(["c:main.yaml"]).problems).toEqual(["--config c:main.yaml: there is no such file"]);
  });

  it("locates what is wrong in a variable's lines", () => {
    expect(said(["main.yaml", "env:MORE"], [], { MORE: "exporters:\n  otlp_grpc: {timeout: 10}\n" })).toContain(
      "env:MORE:2:24  exporters.otlp_grpc.timeout",
    );
  });
});

describe("--set", () => {
  it("is laid over all files, and takes YAML", () => {
    expect(said(["main.yaml"], ["processors.batch.timeout=2s", "service.pipelines.logs.exporters=[otlp_grpc]"])).toBe(
      "",
    );
  });

  it("is where its problems are, without a line", () => {
    expect(said(["main.yaml"], ["processors.batch.timeout=10", "exporters.otlp_grpc.compresion=gzip"])).toBe(
      [
        "--set processors.batch.timeout  processors.batch.timeout",
        "  found 10 (number), expected a duration string",
        '  write "10s"',
        "--set exporters.otlp_grpc.compresion  exporters.otlp_grpc.compresion",
        '  has the unknown key "compresion"',
        '  did you mean "compression"?',
      ].join("\n"),
    );
  });

  it("shows no value in a message, whatever is wrong with it", () => {
    const token = "hush-hush";
    for (const set of [`exporters.otlp_grpc.headers=[${token}`, `exporters.otlp_grpc.headers.A={x: ${token}}`]) {
      expect(said(["main.yaml"], [set])).not.toBe("");
      expect(said(["main.yaml"], [set])).not.toContain(token);
    }
  });
});

describe("a key without a value in a later file", () => {
  it("takes away what earlier files have under it, and says so", () => {
    expect(said(["main.yaml", "yaml:processors:"])).toBe(
      [
        "main.yaml:4:62  service.pipelines.logs.processors[0]",
        '  references processor "batch" which is not configured',
        "  define it under processors",
        "--config yaml:1:1  processors",
        "  stands without a value, which takes away what earlier files have under it",
        "  write {} to change nothing, or leave the key out",
      ].join("\n"),
    );
  });

  it("changes nothing where an empty map stands instead", () => {
    expect(said(["main.yaml", "yaml:processors: {}"])).toBe("");
  });
});

describe('a key with "::"', () => {
  it("is a path, and joins other spellings of the same map", () => {
    const text = "processors::batch::send_batch_size: 10\nprocessors: {batch::timeout: 10}\n";
    expect(said(["main.yaml", `yaml:${text}`])).toContain("--config yaml:2:30  processors.batch.timeout");
  });
});
