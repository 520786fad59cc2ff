import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { loadConfiguration } from "../../src/config/load.ts";
import { printableConfiguration } from "../../src/config/print.ts";
import { formatPath } from "../../src/config/problem.ts";
import { looseObjects } from "../../src/config/schema-walk.ts";
import { settingsTable, undocumentedSettings } from "../../src/config/settings-table.ts";
import { signalboxConfig } from "../../src/config/signalbox.ts";
import { telemetryConfig } from "../../src/config/telemetry.ts";
import {
  annotate,
  block,
  byteSize,
  defaultBlock,
  duration,
  optionalBlock,
  secret,
  secretMap,
  withoutEffect,
} from "../../src/config/types.ts";
import { TEST_FACTORIES, TEST_LOOKUP } from "./test-factories.ts";

const TEXT = `receivers: {otlp: {protocols: {grpc: }}}
exporters:
  otlp_grpc:
    endpoint: backend:4317
    headers: {Authorization: Bearer hush-hush, X-Team: hush-hush}
    token: hush-hush
    proxy_url: https://user:hush-hush@proxy:3128
    timeout: 1m30s
service: {pipelines: {logs: {receivers: [otlp], exporters: [otlp_grpc]}}}
`;

describe("printableConfiguration", () => {
  const result = loadConfiguration({ files: [{ name: "x.yaml", text: TEXT }], env: {}, factories: TEST_LOOKUP });
  const printed = result.ok ? printableConfiguration(result.configuration) : {};

  it("is written as in the YAML, with defaults and units, and secrets redacted", () => {
    expect(printed).toMatchObject({
      receivers: { otlp: { protocols: { grpc: { endpoint: "localhost:4317", include_metadata: false } } } },
      exporters: {
        otlp_grpc: {
          headers: { Authorization: "[REDACTED]", "X-Team": "[REDACTED]" },
          token: "[REDACTED]",
          proxy_url: "https://[REDACTED]@proxy:3128",
          timeout: "1m30s",
          max_size: "4MiB",
          sending_queue: { queue_size: 1000 },
        },
      },
      service: {
        extensions: [],
        pipelines: { logs: { receivers: ["otlp"], processors: [], exporters: ["otlp_grpc"] } },
      },
      signalbox: { shutdown_timeout: "8s" },
    });
  });

  it("loads again to the same configuration, but for the secrets", () => {
    const text = JSON.stringify(printed);
    const again = loadConfiguration({ files: [{ name: "x.yaml", text }], env: {}, factories: TEST_LOOKUP });
    expect(again.ok && printableConfiguration(again.configuration)).toEqual(printed);
  });

  it("shows secrets to those who ask for them", () => {
    const shown = result.ok ? printableConfiguration(result.configuration, "unredacted") : {};
    expect(shown).toMatchObject({
      exporters: {
        otlp_grpc: { token: "hush-hush", proxy_url: "https://user:hush-hush@proxy:3128", timeout: "1m30s" },
      },
    });
  });

  it("holds no secret, nor does the configuration itself when something prints it", () => {
    expect(JSON.stringify(printed)).not.toContain("hush");
    expect(inspect(printed, { depth: 20 })).not.toContain("hush");
    const config = result.ok ? result.configuration.exporters.get("otlp_grpc")?.config : undefined;
    expect(JSON.stringify(config).replace("user:hush-hush@", "")).not.toContain("hush");
  });
});

describe("settingsTable", () => {
  it("has one row for each key with type, default and meaning", () => {
    const schema = block({
      endpoint: z.string().describe("Where it is."),
      timeout: duration({ default: "5s" }).describe("How long."),
      limit: byteSize().optional().describe("How much | how many."),
      level: z.enum(["low", "high"]).default("low").describe("How."),
      names: z.array(z.string()).default([]).describe("Which."),
      ratio: z.number().default(0.5).describe("Share."),
      headers: secretMap().describe("Headers."),
      token: secret().optional().describe("Token."),
      old: withoutEffect(z.boolean().default(false), "not here").describe("Old."),
      tls: defaultBlock({ insecure: z.boolean().default(false).describe("Plain text.") }).describe("TLS."),
      grpc: optionalBlock(block({ port: z.int().default(1).describe("Port.") })).describe("gRPC."),
      rules: z
        .array(block({ key: z.string().describe("Key.") }))
        .default([])
        .describe("Rules."),
    });
    expect(settingsTable(schema)).toBe(
      [
        "| key | type | default | meaning |",
        "| --- | --- | --- | --- |",
        "| `endpoint` | string | required | Where it is. |",
        "| `timeout` | duration | `5s` | How long. |",
        "| `limit` | size |  | How much \\| how many. |",
        "| `level` | `low`, `high` | `low` | How. |",
        "| `names` | list of string | `[]` | Which. |",
        "| `ratio` | number | `0.5` | Share. |",
        "| `headers` | map of secrets |  | Headers. |",
        "| `token` | secret |  | Token. |",
        "| `old` | bool | `false` | Old. (has no effect: not here) |",
        "| `tls` | block |  | TLS. |",
        "| `tls.insecure` | bool | `false` | Plain text. |",
        "| `grpc` | block | off | gRPC. |",
        "| `grpc.port` | whole number | `1` | Port. |",
        "| `rules` | list of block | `[]` | Rules. |",
        "| `rules[].key` | string | required | Key. |",
      ].join("\n"),
    );
  });

  it("finds keys without a description, and objects that let a mistyped key pass", () => {
    const schema = block({ a: z.string(), b: z.object({ c: z.string().describe("C.") }).describe("B.") });
    expect(undocumentedSettings(schema).map(({ path }) => path)).toEqual([["a"]]);
    expect(looseObjects(schema)).toEqual([["b"]]);
  });

  it("ends for a schema that contains itself", () => {
    const tree: z.ZodType = block({
      children: z
        .array(z.lazy(() => tree))
        .default([])
        .describe("Children."),
    });
    expect(settingsTable(tree).split("\n").length).toBeLessThan(20);
    expect(looseObjects(tree)).toEqual([]);
  });

  it("shows a value of a secret in no default", () => {
    expect(
      settingsTable(block({ key: annotate(z.string(), { secret: true, type: "secret" }).describe("Key.") })),
    ).toContain("| `key` | secret | required | Key. |");
  });
});

describe("our own schemas", () => {
  it.each([
    ...TEST_FACTORIES.map(({ kind, type, config }) => [`${kind} ${type}`, config] as const),
    ["telemetry", telemetryConfig] as const,
    ["signalbox", signalboxConfig] as const,
  ])("of %s are strict and documented", (_, schema) => {
    expect(looseObjects(schema).map(formatPath)).toEqual([]);
    expect(undocumentedSettings(schema).map(({ path }) => formatPath(path))).toEqual([]);
  });
});
