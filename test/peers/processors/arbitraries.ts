import * as fc from "fast-check";
import type { Signal } from "../../../src/core/signal.ts";

/** Requests, actions and conditions over one small pool of keys, so that they meet. Requests are objects as protobufjs takes them. */

const KEYS = ["a", "b", "c", "service.name", "http.url", "user.id", "secret.token", "näme", ""];
const attributeName = fc.constantFrom(...KEYS);

const TEXTS = [
  "",
  "a",
  "checkout",
  "GET /api/v1/items/42",
  "https://example.com/path?x=1,y=2",
  "42",
  "-7",
  "+8",
  "007",
  "9223372036854775807",
  "9223372036854775808",
  "1.5",
  "-0",
  ".5e-3",
  "1e400",
  "0x1p3",
  "1_000",
  "0x",
  "-Infinity",
  "true",
  "näme ☃ 😀",
  "line one\nline two",
  "x".repeat(300),
];
const anyText = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...TEXTS) },
  fc.string({ unit: "grapheme", maxLength: 12 }),
);
// What HTML escapes is a known difference (known-differences.ts) and stands inside lists and maps in no random value.
const innerText = anyText.filter((inner) => !/[<>&]/.test(inner));

const INTS = [
  "0",
  "1",
  "-1",
  "42",
  "9007199254740991",
  "9007199254740993",
  "-9223372036854775808",
  "9223372036854775807",
];
const DOUBLES = [
  0,
  -0,
  1,
  1.5,
  -2.75,
  1e21,
  1e-7,
  123456789.125,
  5e-324,
  1e300,
  -1e19,
  Number.NaN,
  Infinity,
  -Infinity,
];

const scalar = fc.oneof(
  fc.constantFrom(...INTS).map((intValue) => ({ intValue })),
  fc.constantFrom(...DOUBLES).map((doubleValue) => ({ doubleValue })),
  fc.double({ noNaN: true }).map((doubleValue) => ({ doubleValue })),
  fc.boolean().map((boolValue) => ({ boolValue })),
  fc.uint8Array({ maxLength: 5 }).map((bytesValue) => ({ bytesValue })),
  fc.constant({}),
);

const { value: innerValue } = fc.letrec<{ value: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.oneof(
      innerText.map((stringValue) => ({ stringValue })),
      scalar,
    ),
    fc.array(tie("value"), { maxLength: 3 }).map((values) => ({ arrayValue: { values } })),
    fc
      .uniqueArray(fc.tuple(innerText, tie("value")), { maxLength: 3, selector: ([name]) => name })
      .map((list) => ({ kvlistValue: { values: list.map(([name, value]) => ({ key: name, value })) } })),
  ),
}));

const anyValue = fc.oneof(
  { weight: 5, arbitrary: anyText.map((stringValue) => ({ stringValue })) },
  { weight: 3, arbitrary: scalar },
  { weight: 2, arbitrary: innerValue },
);

const attributes = fc
  .uniqueArray(fc.tuple(attributeName, anyValue), { maxLength: 6, selector: ([name]) => name })
  .map((list) => list.map(([name, inner]) => ({ key: name, value: inner })));

const time = fc.constantFrom("1764000000000000000", "0");
const id = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const NAMES = ["checkout", "GET /api", "db.query", "näme", "", "process.cpu.time", "http.server.duration"];
const anyName = fc.constantFrom(...NAMES);

const logRecord = fc.record({
  timeUnixNano: time,
  severityNumber: fc.constantFrom(0, 1, 9, 10, 13, 17, 24),
  severityText: fc.constantFrom("", "INFO", "info2", "ERROR"),
  body: fc.option(anyValue, { nil: undefined }),
  attributes,
  traceId: id(16),
  spanId: id(8),
});

const span = fc.record({
  traceId: id(16),
  spanId: id(8),
  name: anyName,
  kind: fc.integer({ min: 0, max: 5 }),
  startTimeUnixNano: time,
  attributes,
  events: fc.array(fc.record({ name: anyName, attributes }), { maxLength: 1 }),
});

const numberPoint = fc.record({ attributes, timeUnixNano: time, asInt: fc.constantFrom("0", "7") });
const numberPoints = fc.array(numberPoint, { maxLength: 3 });
const histogramPoint = fc.record({ attributes, count: fc.constant("3"), sum: fc.constant(1.5) });
const summaryPoint = fc.record({ attributes, count: fc.constant("3"), sum: fc.constant(2.5) });

const metric = fc
  .tuple(
    anyName,
    fc.oneof(
      numberPoints.map((dataPoints) => ({ gauge: { dataPoints } })),
      numberPoints.map((dataPoints) => ({ sum: { dataPoints, aggregationTemporality: 2, isMonotonic: true } })),
      fc.array(histogramPoint, { maxLength: 2 }).map((dataPoints) => ({
        histogram: { dataPoints, aggregationTemporality: 1 },
      })),
      fc.array(histogramPoint, { maxLength: 2 }).map((dataPoints) => ({
        exponentialHistogram: { dataPoints, aggregationTemporality: 1 },
      })),
      fc.array(summaryPoint, { maxLength: 2 }).map((dataPoints) => ({ summary: { dataPoints } })),
      fc.constant({}),
    ),
  )
  .map(([metricName, data]) => ({ name: metricName, ...data }));

const scope = fc.record({
  name: fc.constantFrom("", "worker", "lib.http"),
  version: fc.constantFrom("", "1.0", "2.0.1"),
  attributes,
});

const SHAPES = {
  logs: { groups: "resourceLogs", scopes: "scopeLogs", records: "logRecords", record: logRecord },
  traces: { groups: "resourceSpans", scopes: "scopeSpans", records: "spans", record: span },
  metrics: { groups: "resourceMetrics", scopes: "scopeMetrics", records: "metrics", record: metric },
} as const satisfies Record<Signal, object>;

export function requestOf(signal: Signal): fc.Arbitrary<object> {
  const { groups, scopes, records, record } = SHAPES[signal];
  const scopeGroup = fc
    .tuple(fc.option(scope, { nil: undefined }), fc.array<object>(record, { maxLength: 4 }))
    .map(([own, list]) => ({ scope: own, [records]: list }));
  const group = fc
    .tuple(fc.option(fc.record({ attributes }), { nil: undefined }), fc.array(scopeGroup, { maxLength: 2 }))
    .map(([resource, list]) => ({ resource, [scopes]: list }));
  return fc.array(group, { minLength: 1, maxLength: 3 }).map((list) => ({ [groups]: list }));
}

/** Quoted for YAML, and so that no "$" is read as an expression. */
function quoted(content: string): string {
  return JSON.stringify(content).replaceAll("$", "$$$$");
}

function yamlMap(entries: Readonly<Record<string, string | undefined>>): string {
  const written = Object.entries(entries).filter(([, inner]) => inner !== undefined);
  return `{ ${written.map(([name, inner]) => `${name}: ${inner}`).join(", ")} }`;
}

const LITERALS = [
  "1",
  "1.0",
  "-5",
  "1e3",
  "1.5",
  "9007199254740993",
  "true",
  "[1, 2.0, x, [true]]",
  "{x: 1, y: {z: 2.0}}",
  "[]",
];
const literal = fc.oneof(fc.constantFrom(...LITERALS), fc.constantFrom("", "a", "checkout", "42", "näme").map(quoted));
const attributeKey = fc.constantFrom(...KEYS.filter((word) => word !== ""), "new.key");
const quotedKey = attributeKey.map(quoted);

const CONTEXTS = [
  "metadata.x-tenant",
  "metadata.X-Multi",
  "x-tenant",
  "metadata.absent",
  "metadata.",
  "auth.subject",
  "client.address",
  "client.port",
];

const KEY_PATTERNS = [
  "^secret\\.",
  "a",
  "^[a-c]$",
  "(?i)SERVICE",
  "\\.",
  "^näme$",
  "^$",
  "\\bid\\b",
  "[^[:alpha:]]",
  "nothing",
];
const keyPattern = fc.constantFrom(...KEY_PATTERNS).map(quoted);
const EXTRACT_PATTERNS = [
  "^(?P<scheme>[a-z]+)://(?P<host>[^/]+)(?P<path>/[^?]*)",
  "(?P<a>\\d+)",
  "(?<b>[a-z]*)(?P<c>x)?",
  "(?P<first>\\w+) (?P<rest>.*)",
  "(?P<lazy>.*?)(?P<digit>\\d)",
  "(?i)(?P<method>get|post)",
  "^(?P<all>(?s).*)$",
  "(?P<letters>\\p{L}+)",
  "(?P<a>[a-z])\\(?(?P<a>[\\w<>(?P<a>]*)",
  "(?P<never>[^\\x00-\\x{10FFFF}])",
];

const write = fc
  .tuple(
    fc.constantFrom("insert", "update", "upsert", "UPSERT"),
    quotedKey,
    fc.oneof(
      literal.map((inner) => ({ value: inner })),
      quotedKey.map((inner) => ({ from_attribute: inner })),
      fc.constantFrom(...CONTEXTS).map((inner) => ({ from_context: quoted(inner) })),
    ),
    fc.option(literal, { nil: undefined, freq: 2 }),
  )
  .map(([action, target, source, fallback]) => yamlMap({ key: target, action, ...source, default_value: fallback }));

const byKey = fc
  .tuple(
    fc.constantFrom("delete", "hash"),
    fc.oneof(
      fc.record({ key: quotedKey }),
      fc.record({ pattern: keyPattern }),
      fc.record({ key: quotedKey, pattern: keyPattern }),
    ),
  )
  .map(([action, keys]) => yamlMap({ ...keys, action }));

const extract = fc
  .tuple(quotedKey, fc.constantFrom(...EXTRACT_PATTERNS).map(quoted))
  .map(([target, pattern]) => yamlMap({ key: target, action: "extract", pattern }));

const convert = fc
  .tuple(quotedKey, fc.constantFrom("int", "double", "string"))
  .map(([target, type]) => yamlMap({ key: target, action: "convert", converted_type: type }));

const actions = fc
  .array(
    fc.oneof({ weight: 3, arbitrary: write }, { weight: 2, arbitrary: byKey }, extract, {
      weight: 2,
      arbitrary: convert,
    }),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .map((list) => `[${list.join(", ")}]`);

const PATTERNS = [
  "^check",
  "(?i)get",
  "\\d+",
  "^$",
  "näme|☃",
  "^worker$",
  "1",
  "[[:upper:]]{2,}",
  "(?s)one.line",
  "^lib\\.",
  "true|1\\.5",
];

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });

function texts(isRegexp: boolean, words: readonly string[]): fc.Arbitrary<string | undefined> {
  const word = fc.constantFrom(...(isRegexp ? PATTERNS : words)).map(quoted);
  return optional(fc.array(word, { minLength: 1, maxLength: 3 }).map((list) => `[${list.join(", ")}]`));
}

function pairs(isRegexp: boolean): fc.Arbitrary<string | undefined> {
  const inner = isRegexp ? fc.constantFrom(...PATTERNS).map(quoted) : literal;
  const pair = fc
    .tuple(quotedKey, fc.option(inner, { nil: undefined }))
    .map(([own, content]) => yamlMap({ key: own, value: content }));
  return optional(fc.array(pair, { minLength: 1, maxLength: 2 }).map((list) => `[${list.join(", ")}]`));
}

function libraries(isRegexp: boolean): fc.Arbitrary<string | undefined> {
  const word = (words: readonly string[]) => fc.constantFrom(...(isRegexp ? PATTERNS : words)).map(quoted);
  const library = fc
    .tuple(word(["", "worker", "lib.http"]), fc.option(word(["", "1.0"]), { nil: undefined }))
    .map(([own, version]) => yamlMap({ name: own, version }));
  return optional(fc.array(library, { minLength: 1, maxLength: 1 }).map((list) => `[${list.join(", ")}]`));
}

function conditionsOf(signal: Signal, isRegexp: boolean): fc.Arbitrary<Readonly<Record<string, string | undefined>>> {
  const common = { attributes: pairs(isRegexp), resources: pairs(isRegexp), libraries: libraries(isRegexp) };
  if (signal === "metrics") return fc.record({ metric_names: texts(isRegexp, NAMES), resources: common.resources });
  if (signal === "traces") {
    return fc.record({
      ...common,
      services: texts(isRegexp, ["checkout", "a", "<nil-service-name>", "42", ""]),
      span_names: texts(isRegexp, NAMES),
      span_kinds: texts(isRegexp, ["SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_INTERNAL"]),
    });
  }
  return fc.record({
    ...common,
    log_bodies: texts(isRegexp, TEXTS),
    log_severity_texts: texts(isRegexp, ["INFO", "ERROR", ""]),
    log_severity_number: optional(
      fc
        .record({ min: fc.constantFrom("1", "9", "13"), match_undefined: fc.constantFrom("true", "false") })
        .map(yamlMap),
    ),
  });
}

function match(signal: Signal): fc.Arbitrary<string> {
  return fc
    .boolean()
    .chain((isRegexp) => fc.tuple(fc.constant(isRegexp), fc.boolean(), conditionsOf(signal, isRegexp)))
    .filter(([, , conditions]) => Object.values(conditions).some((condition) => condition !== undefined))
    .map(([isRegexp, isCached, conditions]) =>
      yamlMap({
        match_type: isRegexp ? "regexp" : "strict",
        regexp: isRegexp && isCached ? "{ cacheenabled: true, cachemaxnumentries: 2 }" : undefined,
        ...conditions,
      }),
    );
}

/** The block of an `attributes` processor that fits the signal. */
export function attributesYaml(signal: Signal): fc.Arbitrary<string> {
  const condition = fc.option(match(signal), { nil: undefined, freq: 2 });
  return fc
    .tuple(condition, condition, actions)
    .map(([include, exclude, list]) => yamlMap({ include, exclude, actions: list }));
}

export const resourceYaml: fc.Arbitrary<string> = actions.map((list) => yamlMap({ attributes: list }));
