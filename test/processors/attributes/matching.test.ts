import { describe, expect, test } from "vitest";
import { keyValues, type Plain } from "../../rules/otlp.ts";
import { openProcessor, Refused } from "../../rules/run-processor.ts";
import { loadGateway } from "../../../src/service/load.ts";
import { decodeReference, encodeReference } from "../../wire/otlp/reference.ts";

const MARK = "actions: [{ key: mark, value: true, action: insert }]";

interface TestRecord {
  readonly attributes?: Plain;
  readonly resource?: Plain;
  readonly scope?: object;
  readonly body?: string;
  readonly severityNumber?: number;
  readonly severityText?: string;
}

/** Which of the records were edited; each stands under a resource and scope of its own. */
async function markedLogs(match: string, records: readonly TestRecord[]): Promise<boolean[]> {
  const run = await openProcessor("logs", "attributes", `{ ${match}, ${MARK} }`);
  const resourceLogs = records.map(({ attributes = {}, resource = {}, scope = {}, body, ...fields }) => ({
    resource: { attributes: keyValues(resource) },
    scopeLogs: [
      {
        scope,
        logRecords: [
          { ...fields, attributes: keyValues(attributes), ...(body !== undefined && { body: { stringValue: body } }) },
        ],
      },
    ],
  }));
  const result = decodeReference("logs", await run(encodeReference("logs", { resourceLogs })));
  return (result as { resourceLogs: object[] }).resourceLogs.map((group) => JSON.stringify(group).includes('"mark"'));
}

describe("include and exclude", () => {
  test("edit what the first takes and the second does not", async () => {
    const records = ["a1", "a2", "b1"].map((body) => ({ body }));
    const include = "include: { match_type: regexp, log_bodies: [^a] }";
    const exclude = 'exclude: { match_type: regexp, log_bodies: ["2$$"] }';
    expect(await markedLogs(include, records)).toEqual([true, true, false]);
    expect(await markedLogs(exclude, records)).toEqual([true, false, true]);
    expect(await markedLogs(`${include}, ${exclude}`, records)).toEqual([true, false, false]);
  });

  test("want all that is written to hold", async () => {
    const include =
      "include: { match_type: strict, log_bodies: [x, y], log_severity_texts: [INFO], resources: [{ key: env, value: prod }], libraries: [{ name: lib, version: '1' }], attributes: [{ key: a }] }";
    const whole = {
      body: "x",
      severityText: "INFO",
      resource: { env: "prod" },
      scope: { name: "lib", version: "1" },
      attributes: { a: "" },
    };
    const records = [
      whole,
      { ...whole, body: "y" },
      { ...whole, body: "z" },
      { ...whole, severityText: "info" },
      { ...whole, resource: { env: "dev" } },
      { ...whole, resource: {} },
      { ...whole, scope: { name: "lib", version: "2" } },
      { ...whole, scope: { name: "other", version: "1" } },
      { ...whole, attributes: {} },
    ];
    expect(await markedLogs(include, records)).toEqual([true, true, ...Array.from({ length: 7 }, () => false)]);
  });

  test("compare attributes with their type when strict", async () => {
    const values = [1n, 1, "1", true, null, [1n], [1], { a: 1n, b: "x" }, { b: "x", a: 1n }];
    const records = values.map((value) => ({ attributes: { a: value } }));
    const marked = async (value: string): Promise<number[]> => {
      const marks = await markedLogs(
        `include: { match_type: strict, attributes: [{ key: a, value: ${value} }] }`,
        records,
      );
      return [...marks.keys()].filter((index) => marks[index]);
    };
    expect(await marked("1")).toEqual([0]);
    expect(await marked("1.0")).toEqual([1]);
    expect(await marked("'1'")).toEqual([2]);
    expect(await marked("true")).toEqual([3]);
    expect(await marked("[1]")).toEqual([5]);
    expect(await marked("[1.0]")).toEqual([6]);
    expect(await marked("{ b: x, a: 1 }")).toEqual([7, 8]);
    expect(await marked("~")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test("read scalars as text when regexp", async () => {
    const values = [1n, 1e21, 1.5, true, "1", null, ["1"], Uint8Array.of(49)];
    const records = values.map((value) => ({ attributes: { a: value } }));
    expect(
      await markedLogs("include: { match_type: regexp, attributes: [{ key: a, value: '1|true' }] }", records),
    ).toEqual([true, true, true, true, true, false, false, false]);
    expect(
      await markedLogs("include: { match_type: regexp, attributes: [{ key: a, value: '^10{21}$$' }] }", records),
    ).toEqual([false, true, false, false, false, false, false, false]);
  });

  test("ask for a severity from a number on, and say themselves what an undefined one is", async () => {
    const records = [0, 1, 9, 17].map((severityNumber) => ({ severityNumber }));
    expect(await markedLogs("include: { log_severity_number: { min: 9 } }", records)).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect(await markedLogs("include: { log_severity_number: { min: 9, match_undefined: true } }", records)).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });

  test("ask before the record is edited", async () => {
    const run = await openProcessor(
      "logs",
      "attributes",
      "{ exclude: { match_type: strict, attributes: [{ key: mark }] }, actions: [{ key: mark, value: 1, action: insert }, { key: second, value: 1, action: insert }] }",
    );
    const bytes = encodeReference("logs", { resourceLogs: [{ scopeLogs: [{ logRecords: [{}] }] }] });
    expect(JSON.stringify(decodeReference("logs", await run(bytes)))).toContain('"second"');
  });

  test("have no effect on metrics where only resources are written", async () => {
    const bytes = encodeReference("metrics", {
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "m", gauge: { dataPoints: [{ asInt: "1" }] } }] }] }],
    });
    for (const word of ["include", "exclude"]) {
      const run = await openProcessor(
        "metrics",
        "attributes",
        `{ ${word}: { match_type: strict, resources: [{ key: a }] }, ${MARK} }`,
      );
      expect(JSON.stringify(decodeReference("metrics", await run(bytes)))).toContain('"mark"');
    }
  });
});

describe("a configuration that does not fit", () => {
  test("is refused where it stands, with all that is wrong and how to mend it", async () => {
    const yaml = `{
    include: { match_type: regexp, log_bodies: ["a(b"], services: [x] },
    actions: [{ key: a, action: insert, value: 1, from_attribute: b, pattern: x }, { key: a, action: delte }] }`;
    const error: unknown = await openProcessor("logs", "attributes", yaml).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Refused);
    const lines = (error as Refused).problems.map(
      ({ position, path, message, fix }) => `${position.line}:${position.column} ${path}: ${message} -> ${fix}`,
    );
    expect(lines).toMatchInlineSnapshot(`
      [
        "5:67 processors.attributes.actions[0].from_attribute: multiple value sources being set: value, from_attribute, found "b" (string) -> leave all but one out",
        "5:79 processors.attributes.actions[0].pattern: Action "insert" does not use the "pattern" field. This must not be specified, found "x" (string) -> leave it out",
        "5:102 processors.attributes.actions[1].action: unsupported action "delte" -> write one of insert, update, upsert, delete, hash, extract, convert",
      ]
    `);
  });

  test("of conditions is refused at each of them", async () => {
    const yaml = `{
    include: { match_type: regexp, log_bodies: ["a(b"], services: [x], attributes: [{ key: a, value: 1 }, { value: x }] },
    exclude: { match_type: nope, libraries: [{ name: x }] },
    ${MARK} }`;
    const error: unknown = await openProcessor("logs", "attributes", yaml).catch((thrown: unknown) => thrown);
    const lines = (error as Refused).problems.map(
      ({ position, path, message, fix }) => `${position.line}:${position.column} ${path}: ${message} -> ${fix}`,
    );
    expect(lines).toMatchInlineSnapshot(`
      [
        "4:49 processors.attributes.include.log_bodies[0]: error parsing regexp: missing closing ): \`a(b\` -> write it in Go's syntax: https://pkg.go.dev/regexp/syntax",
        "4:57 processors.attributes.include.services: services, span_names, span_kinds and metric_names are not valid for log records -> leave it out, or out of logs pipelines",
        "4:102 processors.attributes.include.attributes[0].value: match_type=regexp for "a" only supports Str, but found Int -> put the value into quotes",
        "4:107 processors.attributes.include.attributes[1].key: can't have empty key in the list of attributes -> write key: an attribute's name",
        "5:28 processors.attributes.exclude.match_type: unrecognized match_type: 'nope', valid types are: [regexp strict] -> write match_type: strict",
      ]
    `);
  });

  test("for its signal alone is refused once, however many pipelines of that signal there are", async () => {
    const text = `
receivers: { otlp: { protocols: { grpc: } } }
processors:
  attributes/a: { include: { match_type: strict, span_names: [x] }, ${MARK} }
exporters: { debug: }
service:
  pipelines:
    traces: { receivers: [otlp], processors: [attributes/a], exporters: [debug] }
    logs: { receivers: [otlp], processors: [attributes/a], exporters: [debug] }
    logs/2: { receivers: [otlp], processors: [attributes/a], exporters: [debug] }
`;
    const loaded = await loadGateway({ files: [{ name: "a.yaml", text }], env: {}, processorFolders: [] });
    expect(loaded.ok ? [] : loaded.problems.map(({ path }) => path)).toEqual([
      "processors.attributes/a.include.span_names",
    ]);
  });
});
