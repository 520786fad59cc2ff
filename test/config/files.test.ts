import { describe, expect, it } from "vitest";
import { loadConfiguration } from "../../src/config/load.ts";
import type { LoadResult } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { TEST_LOOKUP } from "./test-factories.ts";

const SERVICE = "service: {pipelines: {logs: {receivers: [otlp], exporters: [otlp_grpc]}}}\n";

/** A configuration whose `exporters` are as written, and the files that it may read. */
function load(
  exporters: string,
  files: Readonly<Record<string, string>>,
  env: Record<string, string> = {},
): LoadResult {
  const text = `receivers: {otlp: {protocols: {grpc: }}}\nexporters: ${exporters}\n${SERVICE}`;
  return loadConfiguration({
    files: [{ name: "main.yaml", text }],
    env,
    factories: TEST_LOOKUP,
    readText: (path) => (Object.hasOwn(files, path) ? { text: files[path]! } : { problem: "there is no such file" }),
  });
}

function said(result: LoadResult): string {
  return formatProblems([...(result.ok ? [] : result.problems), ...result.warnings]);
}

function exporter(result: LoadResult): Record<string, unknown> {
  if (!result.ok) throw new Error(said(result));
  return result.configuration.exporters.get("otlp_grpc")?.config as Record<string, unknown>;
}

describe("${file:...}", () => {
  it("stands for what the file holds: a section, a block, a value", () => {
    const files = {
      "exporters.yaml": "otlp_grpc: ${file:otlp.yaml}\n",
      "otlp.yaml": "endpoint: ${file:endpoint}\ntimeout: ${file:timeout}\nmax_size: 12\nlabels: {a: '${env:A}'}\n",
      endpoint: "backend:4317",
      timeout: "9s",
    };
    expect(exporter(load("${file:exporters.yaml}", files, { A: "012" }))).toMatchObject({
      endpoint: "backend:4317",
      timeout: 9_000,
      max_size: 12,
      labels: { a: "012" },
    });
  });

  it("keeps the text of a file as it is where a text is wanted, and inlines it in a longer one", () => {
    const files = { name: "012", token: "a: b" };
    const config = exporter(
      load('{otlp_grpc: {endpoint: "h:1", authority: "${file:name}", labels: {a: "<${file:token}>"}}}', files),
    );
    expect(config).toMatchObject({ authority: "012", labels: { a: "<a: b>" } });
  });

  it("says where in that file something is wrong, after what is wrong in the file itself", () => {
    const files = { "otlp.yaml": "endpoint: backend:4317\ntimeout: 10\nlevel: 12\n" };
    expect(said(load("{otlp_grpc: '${file:otlp.yaml}', debug: {verbosity: loud}}", files))).toBe(
      [
        "main.yaml:2:64  exporters.debug.verbosity",
        '  found "loud" (string), expected one of "basic", "normal", "detailed"',
        '  write one of "basic", "normal", "detailed"',
        "otlp.yaml:2:10  exporters.otlp_grpc.timeout",
        "  found 10 (number), expected a duration string",
        '  write "10s"',
        "otlp.yaml:3:8  exporters.otlp_grpc.level",
        "  found 12 (number), expected at most 9",
        "  write 1 for fast or 9 for small",
      ].join("\n"),
    );
  });

  it("says which file cannot be read, and nothing about what it would hold", () => {
    expect(said(load("${file:none.yaml}", {}))).toBe(
      [
        "main.yaml:2:12  exporters",
        "  found ${file:none.yaml}, which cannot be read: there is no such file",
        "  a path is relative to the folder in which the gateway is started",
      ].join("\n"),
    );
  });

  it("refuses files that include each other in a circle", () => {
    const circle = { a: "x: ${file:b}\n", b: "y: ${file:a}\n" };
    expect(said(load("{otlp_grpc: '${file:a}'}", circle))).toContain("in a circle, at");
  });

  it("refuses files that multiply", () => {
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => {
        const next = `\${file:f${index + 1}}`;
        return [`f${index}`, `{a: "${next}", b: "${next}"}`];
      }),
    );
    expect(said(load("{otlp_grpc: '${file:f0}'}", files))).toMatch(/more than \d+/);
  });

  it("takes a file that is no YAML for a text, with a word about it where it has lines", () => {
    const result = load("{otlp_grpc: '${file:broken.yaml}'}", {
      "broken.yaml": "endpoint: backend:4317\n\ttimeout: 1s\n",
    });
    expect(said(result)).toContain("found ${file:broken.yaml} (string), expected a map");
    expect(said(result)).toMatch(
      /broken\.yaml:2:1 {2}exporters\.otlp_grpc\n {2}not valid YAML: .*; the file is taken as a text/,
    );
  });

  it("shows a path that came out of a variable by its expression alone", () => {
    const result = load(
      "{otlp_grpc: '${file:${env:PLACE}}'}",
      { "s3cr3t.yaml": "timeout: 10\n" },
      { PLACE: "s3cr3t.yaml" },
    );
    expect(said(result)).toContain("${file:${env:PLACE}}:1:10  exporters.otlp_grpc.timeout");
    expect(said(result)).not.toContain("s3cr3t");
  });

  it("reads nothing where nobody gave it leave to read", () => {
    const files = [{ name: "x.yaml", text: "receivers: ${file:/etc/passwd}" }];
    expect(said(loadConfiguration({ files, env: {}, factories: TEST_LOOKUP }))).toContain("no files are read here");
  });
});

describe("${yaml:...}", () => {
  it("stands for its own text, read as YAML", () => {
    expect(
      exporter(
        load("{otlp_grpc: {endpoint: 'h:1', timeout: '${yaml:9s}', level: '${yaml:${env:L}}'}}", {}, { L: "9" }),
      ),
    ).toMatchObject({ timeout: 9_000, level: 9 });
  });

  it("takes no default, and no dollar sign", () => {
    expect(exporter(load("{otlp_grpc: {endpoint: 'h:1', authority: '${yaml:a:-b}'}}", {}))).toMatchObject({
      authority: "a:-b",
    });
    expect(said(load("{otlp_grpc: {endpoint: 'h:1', authority: '${yaml:a$b}'}}", {}))).toContain(
      'found a "$" inside ${yaml:a$b}',
    );
  });
});
