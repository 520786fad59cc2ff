import { describe, expect, test } from "vitest";
import { factoryLookup } from "../../../src/config/configuration.ts";
import { loadConfiguration } from "../../../src/config/load.ts";
import { formatProblems } from "../../../src/config/problem.ts";
import { BUILT_IN_FACTORIES } from "../../../src/service/built-in.ts";

const factories = factoryLookup(BUILT_IN_FACTORIES);

function problemsOf(exporter: string, signals: readonly string[]): string {
  const pipelines = signals.map((signal) => `    ${signal}: { receivers: [otlp], exporters: [otlp_http/a] }`);
  const text = `receivers: { otlp: { protocols: { grpc: } } }
exporters:
  otlp_http/a: ${exporter}
service:
  pipelines:
${pipelines.join("\n")}
`;
  // What a start loads, a reload loads: a configuration with problems never gets further.
  const result = loadConfiguration({ files: [{ name: "gateway.yaml", text }], env: {}, factories });
  return result.ok ? "" : formatProblems(result.problems);
}

describe("an exporter without an endpoint for a signal", () => {
  test("is refused in a pipeline of that signal, where it stands, once for all of them", () => {
    const said = problemsOf('{ traces_endpoint: "http://a:4318/v1/traces" }', ["traces", "logs", "logs/b"]);
    expect(said).toBe(`gateway.yaml:3:3  exporters.otlp_http/a
  either endpoint or logs_endpoint must be specified, because a pipeline of logs sends here
  write endpoint: "http://localhost:4318" or logs_endpoint, or leave it out of pipelines of logs`);
  });

  test("is told for each signal that lacks one", () => {
    const said = problemsOf('{ metrics_endpoint: "http://a:4318/v1/metrics" }', ["traces", "metrics", "logs"]);
    expect(said.match(/either endpoint or (\w+)/g)).toEqual([
      "either endpoint or traces_endpoint",
      "either endpoint or logs_endpoint",
    ]);
  });

  test.each([
    '{ endpoint: "http://a:4318" }',
    '{ endpoint: "http://a:4318", traces_endpoint: "http://b" }',
    '{ logs_endpoint: "http://a:4318/v1/logs" }',
  ])("is no problem of logs with %s", (exporter) => expect(problemsOf(exporter, ["logs"])).toBe(""));
});
