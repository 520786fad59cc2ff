/** What the Collector refuses is refused here, in its words, and what it takes is taken. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { type Signal, SIGNALS } from "../../../src/core/signal.ts";
import { TestFolder } from "../../e2e/peers.ts";
import { openProcessor, Refused } from "../../rules/run-processor.ts";
import { findContribCollector, PEER_HINT } from "../find.ts";
import { DIFFERENT_ANSWERS } from "./known-differences.ts";
import { upstreamCases, upstreamConfigs } from "./upstream-cases.ts";

const binary = findContribCollector();
const run = promisify(execFile);

/** The Collector's complaint about one processor in a pipeline of this signal, or undefined. */
async function theirComplaint(signal: Signal, type: string, yaml: string): Promise<string | undefined> {
  await using folder = await TestFolder.create();
  const path = await folder.write(
    "collector.yaml",
    `receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
processors:
  ${type}: ${yaml}
exporters: { nop: }
service: { pipelines: { ${signal}: { receivers: [otlp], processors: [${type}], exporters: [nop] } } }
`,
  );
  try {
    await run(binary ?? "", ["validate", "--config", path]);
    return undefined;
  } catch (error) {
    return error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
  }
}

async function ourComplaint(signal: Signal, type: string, yaml: string): Promise<string | undefined> {
  try {
    await openProcessor(signal, type, yaml);
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

/** What the Collector says, and what we say. */
function complaints(signal: Signal, type: string, yaml: string): Promise<(string | undefined)[]> {
  return Promise.all([theirComplaint(signal, type, yaml), ourComplaint(signal, type, yaml)]);
}

function bothSay(words: string | undefined): unknown[] {
  const one = words === undefined ? undefined : expect.stringContaining(words);
  return [one, one];
}

/** Blocks of `actions`, and the words that both complaints share; "" where both only refuse, undefined where both take it. */
const ACTIONS: readonly (readonly [string, string | undefined])[] = [
  ["{ key: a, action: nope }", 'unsupported action "nope"'],
  ["{ key: a }", ""],
  ["{ action: insert, value: 1 }", 'missing required field "key"'],
  ["{ action: delete }", 'missing required field (at least one of "key" and "pattern" have to be used)'],
  ["{ action: hash }", 'missing required field (at least one of "key" and "pattern" have to be used)'],
  [
    "{ key: a, action: insert }",
    'Either field "value", "from_attribute", "from_context", or "default_value" must be specified',
  ],
  [
    "{ key: a, action: insert, value: null }",
    'Either field "value", "from_attribute", "from_context", or "default_value" must be specified',
  ],
  ["{ key: a, action: upsert, value: 1, from_attribute: b }", "multiple value sources being set"],
  ["{ key: a, action: upsert, from_context: x, from_attribute: b }", "multiple value sources being set"],
  ["{ key: a, action: insert, default_value: 1 }", undefined],
  ["{ key: a, action: INSERT, value: 1 }", undefined],
  [
    "{ key: a, action: update, value: 1, pattern: x }",
    'Action "update" does not use the "pattern" field. This must not be specified',
  ],
  [
    "{ key: a, action: update, value: 1, converted_type: int }",
    'Action "update" does not use the "converted_type" field. This must not be specified',
  ],
  [
    "{ key: a, action: delete, value: 1 }",
    'Action "delete" does not use "value" or "from_attribute" field. These must not be specified',
  ],
  [
    "{ key: a, action: hash, from_attribute: b }",
    'Action "hash" does not use "value" or "from_attribute" field. These must not be specified',
  ],
  ["{ key: a, action: hash, from_context: b }", undefined],
  [
    "{ key: a, action: delete, converted_type: int }",
    'Action "delete" does not use the "converted_type" field. This must not be specified',
  ],
  ['{ pattern: "(a", action: delete }', 'Field "pattern" has invalid pattern'],
  ['{ pattern: "a{1001}", action: delete }', 'Field "pattern" has invalid pattern'],
  ['{ pattern: "(?=a)", action: delete }', 'Field "pattern" has invalid pattern'],
  ['{ pattern: "(a{1000}){1000}", action: hash }', 'Field "pattern" has invalid pattern'],
  ["{ key: a, action: extract }", 'missing required field "pattern" for action "extract"'],
  ["{ key: a, action: extract, pattern: x }", 'Field "pattern" contains no named matcher groups'],
  [
    '{ key: a, action: extract, pattern: "(?P<x>a)(b)" }',
    'Field "pattern" contains at least one unnamed matcher group',
  ],
  ['{ key: a, action: extract, pattern: "(?P<x>a)(?P<x>b)" }', undefined],
  [
    '{ key: a, action: extract, pattern: "(?P<x>a)", value: 1 }',
    'Action "extract" does not use a value source field. These must not be specified',
  ],
  [
    '{ key: a, action: extract, pattern: "(?P<x>a)", converted_type: int }',
    'Action "extract" does not use the "converted_type" field. This must not be specified',
  ],
  ["{ key: a, action: convert }", 'missing required field "converted_type" for action "convert"'],
  [
    "{ key: a, action: convert, converted_type: bool }",
    'invalid value "bool" in field "converted_type" for action "convert"',
  ],
  [
    "{ key: a, action: convert, converted_type: int, value: 1 }",
    'Action "convert" does not use value sources or "pattern" field. These must not be specified',
  ],
  ["{ key: a, action: insert, value: 1, unknown: 1 }", ""],
  ["{ key: a, action: insert, value: [1, { x: 1.0 }] }", undefined],
];

const DELETE = "actions: [{ key: a, action: delete }]";

const MATCHES: readonly (readonly [Signal, string, string | undefined])[] = [
  ["logs", "include: ~", undefined],
  ["logs", "include: {}", "field must be specified"],
  ["logs", "include: { attributes: ~ }", "field must be specified"],
  ["logs", "include: { log_severity_number: ~, regexp: ~, attributes: [{ key: a }] }", undefined],
  ["logs", "include: { log_severity_number: {} }", undefined],
  ["logs", "include: { match_type: strict, libraries: [{ version: ~ }] }", undefined],
  [
    "logs",
    "include: { match_type: strict }",
    'at least one of "attributes", "libraries", "span_kinds", "resources", "log_bodies", "log_severity_texts" or "log_severity_number" field must be specified',
  ],
  [
    "traces",
    "exclude: { match_type: strict }",
    'at least one of "attributes", "libraries",  or "resources" field must be specified',
  ],
  [
    "metrics",
    "include: { match_type: strict }",
    'at least one of "metric_names" or "resources" field must be specified',
  ],
  [
    "logs",
    "include: { match_type: strict, services: [a] }",
    "services, span_names, span_kinds and metric_names are not valid for log records",
  ],
  ["traces", "include: { match_type: strict, log_bodies: [a] }", "log_bodies should not be specified for trace spans"],
  [
    "traces",
    "include: { match_type: strict, metric_names: [a] }",
    "metric_names should not be specified for trace spans",
  ],
  [
    "traces",
    "include: { log_severity_number: { min: 9 } }",
    "log_severity_number should not be specified for trace spans",
  ],
  [
    "metrics",
    "include: { match_type: strict, attributes: [{ key: a }] }",
    '"span_names", "span_kinds", "log_bodies", "log_severity_texts", "log_severity_number", "services", "attributes" and "libraries" are not valid for metrics',
  ],
  ["logs", "include: { log_bodies: [a] }", "unrecognized match_type: '', valid types are: [regexp strict]"],
  [
    "logs",
    "include: { match_type: expr, log_bodies: [a] }",
    "unrecognized match_type: 'expr', valid types are: [regexp strict]",
  ],
  ["metrics", "include: { match_type: expr, metric_names: [a] }", undefined],
  ["metrics", "include: { match_type: nope, resources: [{ key: a, value: 1 }] }", undefined],
  ["logs", "include: { log_severity_number: { min: 9, match_undefined: true } }", undefined],
  ["logs", "include: { attributes: [{ key: a }] }", undefined],
  [
    "logs",
    "include: { attributes: [{ key: a, value: 1 }] }",
    "unrecognized match_type: '', valid types are: [regexp strict]",
  ],
  [
    "logs",
    "include: { match_type: strict, attributes: [{ value: 1 }] }",
    "can't have empty key in the list of attributes",
  ],
  [
    "logs",
    "include: { match_type: regexp, attributes: [{ key: a, value: 1 }] }",
    'match_type=regexp for "a" only supports Str, but found Int',
  ],
  [
    "traces",
    "include: { match_type: regexp, resources: [{ key: a, value: [1] }] }",
    'match_type=regexp for "a" only supports Str, but found Slice',
  ],
  ["traces", 'include: { match_type: regexp, services: ["(a"] }', "missing closing )"],
  ["logs", 'include: { match_type: regexp, libraries: [{ name: "a{2,1}" }] }', "invalid repeat count"],
  [
    "traces",
    "include: { match_type: strict, span_kinds: [SERVER] }",
    "span_kinds string must match one of the standard span kinds when match_type=strict",
  ],
  ["traces", "include: { match_type: regexp, span_kinds: [SERVER] }", undefined],
  ["metrics", "include: { match_type: regexp, regexp: { cacheenabled: true }, metric_names: [a] }", undefined],
];

describe.skipIf(binary === undefined)(`a configuration beside the Collector (${PEER_HINT})`, () => {
  test.for(ACTIONS)("is answered alike, in the same words: %s", async ([action, words]) => {
    expect(await complaints("logs", "attributes", `{ actions: [${action}] }`)).toEqual(bothSay(words));
    expect(await complaints("traces", "resource", `{ attributes: [${action}] }`)).toEqual(bothSay(words));
  });

  test.for(MATCHES)("is answered alike, in the same words: %s, %s", async ([signal, match, words]) => {
    expect(await complaints(signal, "attributes", `{ ${match}, ${DELETE} }`)).toEqual(bothSay(words));
  });

  test.for(DIFFERENT_ANSWERS)("is taken by the Collector alone: $what", async ({ action }) => {
    const yaml = `{ actions: [${action}] }`;
    expect(await theirComplaint("logs", "attributes", yaml)).toBeUndefined();
    expect(await ourComplaint("logs", "attributes", yaml)).toContain("invalid character class range");
  });

  test("without actions is refused by both", async () => {
    expect(await complaints("logs", "attributes", "{ actions: [] }")).toEqual(
      bothSay('missing required field "actions"'),
    );
    expect(await complaints("logs", "resource", "{}")).toEqual(bothSay('missing required field "attributes"'));
  });

  test("from the Collector's own tests is taken or refused alike, for every signal", async (context) => {
    if (upstreamConfigs("attributes").size === 0) context.skip(PEER_HINT);
    const counts = { taken: 0, refused: 0 };
    for (const signal of SIGNALS) {
      for (const { type, yaml } of upstreamCases(signal)) {
        const [theirs, ours] = await complaints(signal, type, yaml);
        expect(ours === undefined, `${type} ${signal}: ${yaml}\n${theirs}\n${ours}`).toBe(theirs === undefined);
        counts[theirs === undefined ? "taken" : "refused"] += 1;
      }
    }
    expect(counts.taken).toBeGreaterThan(30);
    expect(counts.refused).toBeGreaterThan(0);
  });
});
