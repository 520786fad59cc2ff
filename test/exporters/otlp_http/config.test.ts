import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { otlpHttpConfig } from "../../../src/exporters/otlp_http/config.ts";

type Input = Partial<z.input<typeof otlpHttpConfig>>;

function problemsOf(config: Input): string[] {
  const result = otlpHttpConfig.safeParse(config);
  return (result.error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

const endpoint = "http://localhost:4318";

describe("the configuration", () => {
  test("has the Collector's defaults", () => {
    expect(otlpHttpConfig.parse({ endpoint })).toMatchObject({
      compression: "gzip",
      encoding: "proto",
      timeout: 30_000,
      max_conns_per_host: 0,
      keepalive: { enabled: true, idle_conn_timeout: 90_000, max_idle_conns: 100 },
      sending_queue: { enabled: true },
    });
  });

  test.each<[Input, string[]]>([
    [{ logs_endpoint: "https://localhost/logs?key=a" }, []],
    [{}, [": at least one endpoint must be specified"]],
    [
      { endpoint: "http://user:secret@localhost" },
      ["endpoint: must not hold credentials, which would be shown in messages"],
    ],
    [
      { logs_endpoint: "http://secret@localhost" },
      ["logs_endpoint: must not hold credentials, which would be shown in messages"],
    ],
    [{ endpoint: `${endpoint}?a=b` }, ["endpoint: must not have a query, because a path is added to it"]],
    [{ endpoint, headers: { "content-type": "x" } }, ["headers.content-type: is set by the exporter itself"]],
    [{ endpoint, compression_params: { level: 0 } }, []],
    [
      { endpoint, compression: "snappy", compression_params: { level: 1 } },
      ["compression_params.level: unsupported level 1 for snappy"],
    ],
    [{ endpoint, compression_params: { level: 15 } }, ["compression_params.level: unsupported level 15 for gzip"]],
    [{ endpoint, compression: "zstd", compression_params: { level: 15 } }, []],
    [{ endpoint, compression: "none", compression_params: { level: 0 } }, []],
    [{ endpoint, headers: { constructor: "x" } }, []],
    [{ endpoint, auth: {} }, ["auth: names an authenticator extension, and none exists yet"]],
  ])("of %j has the problems %j", (config, problems) => {
    expect(problemsOf(config)).toEqual(problems);
  });
});
