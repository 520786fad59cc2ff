import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { factoryLookup } from "../../src/config/configuration.ts";
import type { Configuration } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import type { LoadResult } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { readProcessorFolders } from "../../src/config/processor-folders.ts";
import { readTextFile } from "../../src/config/read-file.ts";
import { DEPTH_MAX, FILE_BYTES_MAX, NODE_COUNT_MAX } from "../../src/config/yaml.ts";
import { TEST_FACTORIES, TEST_LOOKUP } from "./test-factories.ts";
import { fuzz } from "../support/fuzz.ts";

const WHOLE = `receivers:
  otlp:
    protocols:
      grpc:
processors:
  batch: {timeout: 1s}
exporters:
  debug:
  otlp_grpc/dash0: {endpoint: "backend:4317"}
extensions:
  health_check:
service:
  extensions: [health_check]
  telemetry:
    metrics: {level: detailed, readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 9999}}}}]}
    logs: {level: DEBUG}
  pipelines:
    logs: {receivers: [otlp], processors: [batch], exporters: [debug, otlp_grpc/dash0]}
    logs/second: {receivers: [otlp], exporters: [debug]}
signalbox:
  processors: [./processors, ../more]
  shutdown_timeout: 30s
`;

function load(...texts: string[]): LoadResult {
  const files = texts.map((text, index) => ({ name: `${index + 1}.yaml`, text }));
  return loadConfiguration({ files, env: {}, factories: TEST_LOOKUP });
}

function configurationOf(result: LoadResult): Configuration {
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.configuration;
}

function problemsOf(result: LoadResult): string {
  return result.ok ? "ok" : formatProblems(result.problems);
}

describe("a sound configuration", () => {
  const configuration = configurationOf(load(WHOLE));

  it("has every component by its id, validated, with its factory and place", () => {
    expect([...configuration.exporters.keys()]).toEqual(["debug", "otlp_grpc/dash0"]);
    const dash0 = configuration.exporters.get("otlp_grpc/dash0");
    expect(dash0).toMatchObject({
      id: { type: "otlp_grpc", name: "dash0" },
      factory: { type: "otlp_grpc" },
      config: { endpoint: "backend:4317", timeout: 5_000, compression: "gzip", sending_queue: { enabled: true } },
      position: { file: "1.yaml", line: 9, column: 3 },
    });
    expect(configuration.receivers.get("otlp")?.config).toMatchObject({
      protocols: { grpc: { endpoint: "localhost:4317" } },
    });
  });

  it("has every pipeline with its references in order", () => {
    expect(configuration.pipelines.get("logs")).toEqual({
      signal: "logs",
      id: { type: "logs" },
      receivers: ["otlp"],
      processors: ["batch"],
      exporters: ["debug", "otlp_grpc/dash0"],
      position: { file: "1.yaml", line: 18, column: 5 },
    });
    expect(configuration.pipelines.get("logs/second")?.id).toEqual({ type: "logs", name: "second" });
  });

  it("has the service's extensions and telemetry, and our own block", () => {
    expect(configuration.service.extensions).toEqual(["health_check"]);
    expect(configuration.service.telemetry.logs.level).toBe("debug");
    expect(configuration.service.telemetry.metrics.readers?.[0]?.pull?.exporter.prometheus?.port).toBe(9999);
    expect(configuration.signalbox).toEqual({
      processors: ["./processors", "../more"],
      watch: true,
      shutdown_timeout: 30_000,
    });
  });

  it("has defaults where telemetry and our own block are left out", () => {
    const bare = configurationOf(
      load(
        "receivers: {spans_only: }\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: [spans_only], exporters: [debug]}}}",
      ),
    );
    expect(bare.service.telemetry).toEqual({
      metrics: { level: "normal" },
      logs: { level: "info", encoding: "console", initial_fields: {} },
      resource: {},
    });
    expect(bare.signalbox).toEqual({ processors: [], watch: true, shutdown_timeout: 8_000 });
  });

  it("loads from a file with Windows line ends and a byte order mark just the same", () => {
    const other = configurationOf(load(`\ufeff${WHOLE.replaceAll("\n", "\r\n")}`));
    expect(other.exporters.get("otlp_grpc/dash0")?.position).toEqual({ file: "1.yaml", line: 9, column: 3 });
  });
});

describe("several files", () => {
  it("are laid over each other: maps merge, lists and values are replaced", () => {
    const configuration = configurationOf(
      load(
        WHOLE,
        "processors: {batch: {timeout: 9s}}\nexporters: {debug: {verbosity: detailed}}\nservice: {pipelines: {logs: {exporters: [debug]}}}\n",
      ),
    );
    expect(configuration.processors.get("batch")?.config).toMatchObject({ timeout: 9_000 });
    expect(configuration.pipelines.get("logs")).toMatchObject({
      receivers: ["otlp"],
      processors: ["batch"],
      exporters: ["debug"],
    });
    expect([...configuration.exporters.keys()]).toEqual(["debug", "otlp_grpc/dash0"]);
  });

  it("each name their own problems, in the order they were given", () => {
    const said = problemsOf(
      load(
        "exporters: {debug: {verbosity: loud}}\n",
        "receivers: {otlp: {protocols: {grpc: {endpoint: x}}}}\n",
        "a: 1\na: 2\n",
      ),
    );
    expect(said.match(/^\d\.yaml:\d+:\d+/gm)).toEqual([
      "1.yaml:1:1",
      "1.yaml:1:32",
      "2.yaml:1:49",
      "3.yaml:1:1",
      "3.yaml:2:1",
    ]);
  });

  it("may be empty where another one is not", () => {
    expect(load("# nothing\n", WHOLE).ok).toBe(true);
    expect(problemsOf(load("", "# nothing\n"))).toContain("empty configuration file");
  });

  it("stop at a file that is no YAML, and still say what is wrong with every file's YAML", () => {
    expect(problemsOf(load("a: [\n", "b: {\n")).match(/^\d\.yaml/gm)).toEqual(["1.yaml", "2.yaml"]);
  });
});

describe("the bounds of a file", () => {
  it("refuses a file beyond its size limit without parsing it", () => {
    expect(problemsOf(load(`#${"x".repeat(FILE_BYTES_MAX)}`))).toContain(`more than the limit of ${FILE_BYTES_MAX}`);
  });

  it.each([DEPTH_MAX + 1, 900, 20_000])("refuses nesting %d levels deep", (depth) => {
    expect(problemsOf(load(`a: ${"[".repeat(depth)}${"]".repeat(depth)}`))).toMatch(
      /nested (more than \d+ levels|too) deep/,
    );
  });

  it("refuses more values than a configuration has", () => {
    expect(problemsOf(load(`a: [${"1,".repeat(NODE_COUNT_MAX + 1)}]`))).toContain(`more than ${NODE_COUNT_MAX} values`);
  });

  it("keeps a message short, whatever was written", () => {
    const long = "x".repeat(10_000);
    const said = problemsOf(load(`${long}: 1\nexporters: {debug: {verbosity: ${long}, ${long}: 1}, "${long}": 1}\n`));
    for (const line of said.split("\n")) expect(line.length).toBeLessThan(400);
  });
});

function isInside(text: string, { file, line, column }: { file: string; line: number; column: number }): boolean {
  const written = text.split("\n")[line - 1];
  return file === "1.yaml" && written !== undefined && column >= 1 && column <= Math.max(written.length, 1);
}

describe("any text", () => {
  const scalar = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "",
      "null",
      "~",
      "10",
      "10s",
      "true",
      "[]",
      "{}",
      "*a",
      "&a x",
      "!!str 5",
      "${env:A}",
      "${",
      "$$",
      "|\n  x",
      "'",
      '"',
      "otlp",
      "debug",
      "- x",
      "? x",
      "%TAG",
      "---",
      "...",
      "\t",
      "\r",
      "\u0000",
      "\u2028",
      "#",
    ),
  );
  const key = fc.constantFrom(
    "receivers",
    "exporters",
    "processors",
    "service",
    "pipelines",
    "logs",
    "traces",
    "otlp",
    "otlp_grpc",
    "debug",
    "protocols",
    "grpc",
    "endpoint",
    "headers",
    "<<",
    "a",
    "__proto__",
    "signalbox",
    "telemetry",
    "extensions",
    "timeout",
    "",
  );
  const lines = fc.array(fc.tuple(fc.nat(5), key, fc.constantFrom(": ", ":", " ", ": [", ": {", ": - "), scalar), {
    maxLength: 30,
  });
  const yamlLike = lines.map((parts) =>
    parts.map(([depth, name, mark, value]) => `${"  ".repeat(depth)}${name}${mark}${value}`).join("\n"),
  );
  const garbage = fc.oneof(yamlLike, fc.string(), fc.string({ unit: "binary" }), fc.json());

  it("never throws, and is answered with problems that stand inside the file", () => {
    fc.assert(
      fc.property(garbage, (text) => {
        const result = load(text);
        const said = [...result.warnings, ...(result.ok ? [] : result.problems)];
        expect(result.ok || result.problems.length > 0).toBe(true);
        for (const { position, message } of said) {
          expect(message).not.toBe("");
          expect(isInside(text, position)).toBe(true);
        }
      }),
      fuzz(3_000),
    );
  });

  it("is answered in file order", () => {
    fc.assert(
      fc.property(yamlLike, (text) => {
        const result = load(text);
        const places = result.ok ? [] : result.problems.map(({ position }) => position.line * 1e6 + position.column);
        expect(places).toEqual(places.toSorted((a, b) => a - b));
      }),
      fuzz(),
    );
  });

  it("of a sound configuration, cut or changed anywhere, never throws", () => {
    const edit = fc.tuple(
      fc.nat(WHOLE.length),
      fc.nat(20),
      fc.oneof(scalar, fc.constantFrom("\n", "  ", ":", "[", "]", "{", "}", ",")),
    );
    fc.assert(
      fc.property(edit, ([start, length, replacement]) => {
        const text = WHOLE.slice(0, start) + replacement + WHOLE.slice(start + length);
        const result = load(text);
        for (const { position } of [...result.warnings, ...(result.ok ? [] : result.problems)])
          expect(isInside(text, position)).toBe(true);
      }),
      fuzz(2_000),
    );
  });
});

describe("factoryLookup", () => {
  it("finds a factory by its present and its deprecated name, and only lists present ones", () => {
    expect(TEST_LOOKUP.find("exporter", "otlp")?.type).toBe("otlp_grpc");
    expect(TEST_LOOKUP.find("receiver", "otlp")?.kind).toBe("receiver");
    expect(TEST_LOOKUP.find("processor", "otlp")).toBeUndefined();
    expect(TEST_LOOKUP.types("exporter")).toEqual(["otlp_grpc", "local_store", "debug"]);
    expect(factoryLookup([...TEST_FACTORIES].toReversed()).find("exporter", "otlp")?.type).toBe("otlp_grpc");
  });
});

describe("readProcessorFolders", () => {
  it("gives the folders of a configuration that is wrong elsewhere, with their places", () => {
    const text = `${WHOLE.replace("./processors", "'${env:FOLDER}'")}nonsense: 1\n`;
    expect(readProcessorFolders({ files: [{ name: "x.yaml", text }], env: { FOLDER: "here" } })).toMatchObject([
      { folder: "here", position: { line: 21 } },
      { folder: "../more" },
    ]);
  });

  it.each(["", "[", "signalbox: 1", "signalbox: {processors: x}", "signalbox: {processors: [1, null, '']}"])(
    "gives none for %j",
    (text) => {
      expect(readProcessorFolders({ files: [{ name: "x.yaml", text }], env: {} })).toEqual([]);
    },
  );
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "signalbox-config-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

describe("readTextFile", () => {
  it("reads a file", async () => {
    const name = join(await temporaryFolder(), "gateway.yaml");
    await writeFile(name, WHOLE);
    expect(readTextFile(name)).toEqual({ text: WHOLE });
  });

  it("says in a few words why a file cannot be read", async () => {
    const folder = await temporaryFolder();
    expect(readTextFile(join(folder, "none.yaml"))).toEqual({ problem: "there is no such file" });
    expect(readTextFile(folder)).toEqual({ problem: "it is a folder, expected a file" });
    expect(readTextFile("a\u0000b")).toMatchObject({ problem: expect.stringMatching(/^\w/) as string });
  });

  it("stops reading at its limit, whatever the file is", () => {
    expect(readTextFile("/dev/zero")).toEqual({ problem: `it has more than ${FILE_BYTES_MAX} bytes` });
  });
});
