import { createHash } from "node:crypto";

/**
 * Where ours differs from the Collector 0.149.0, on purpose. Each has a sentence of a specification or an issue beside it,
 * and is shown to be so by known-differences.test.ts: one that has gone is found too.
 */
interface KnownDifference {
  readonly what: string;
  /** A sentence of a specification, or an issue. */
  readonly because: string;
}

export interface DifferentResult extends KnownDifference {
  /** Of an `attributes` processor. */
  readonly actions: string;
  /** Attributes of one log record; the character U+007F goes out as the byte 0xff, which is no UTF-8. */
  readonly attributes: readonly object[];
  /** What becomes of them. */
  readonly theirs: readonly object[];
  readonly ours: readonly object[];
}

const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } });
const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex");

export const DIFFERENT_RESULTS: readonly DifferentResult[] = [
  {
    what: "a list or map as text has no HTML escapes",
    because: "open-telemetry/opentelemetry-collector#14662, mended in later versions",
    actions: "[{ key: a, action: convert, converted_type: string }]",
    attributes: [{ key: "a", value: { arrayValue: { values: [{ stringValue: "<b>&" }] } } }],
    theirs: [text("a", '["\\u003cb\\u003e\\u0026"]')],
    ours: [text("a", '["<b>&"]')],
  },
  {
    what: "an edit of a key that stands twice is one for both",
    because:
      "opentelemetry-proto, logs.proto, LogRecord.attributes: keys MUST be unique, and the behaviour of software that receives duplicated keys can be unpredictable",
    actions: "[{ key: a, action: delete }]",
    attributes: [text("a", "1"), text("a", "2")],
    theirs: [text("a", "2")],
    ours: [],
  },
  {
    what: "a text that is not UTF-8 is hashed as it reads, with U+FFFD for what is wrong",
    because: "protobuf, language guide (proto 3), scalar value types: a string must always contain UTF-8 encoded text",
    actions: "[{ key: a, action: hash }]",
    attributes: [text("a", "\u007fx")],
    theirs: [text("a", sha256(Uint8Array.of(0xff, 0x78)))],
    ours: [text("a", sha256("\ufffdx"))],
  },
];

export interface DifferentAnswer extends KnownDifference {
  /** A block of `actions` that only the Collector takes. */
  readonly action: string;
}

export const DIFFERENT_ANSWERS: readonly DifferentAnswer[] = [
  {
    what: "long names of Unicode categories are not known in patterns",
    because: "golang/go#70781: a Collector knows them where it was built with Go 1.25 or newer",
    action: '{ pattern: "\\\\p{Letter}", action: delete }',
  },
];
