import type { Signal } from "../../../src/core/signal.ts";

/**
 * Where ours differs from the Collector 0.149.0, on purpose. Each has a sentence of a specification or an issue of the
 * Collector's beside it, and a request that shows it, so that a difference that has gone is found too.
 */
export interface KnownDifference {
  readonly what: string;
  readonly because: string;
  readonly signal: Signal;
  readonly type: string;
  readonly yaml: string;
  /** Attributes of one log record, or with `resource` of its resource. */
  readonly attributes: readonly object[];
  /** What becomes of them. */
  readonly theirs: readonly object[];
  readonly ours: readonly object[];
}

const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } });

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    what: "a list or map as text has no HTML escapes",
    because: "open-telemetry/opentelemetry-collector#14662: fixed there since",
    signal: "logs",
    type: "attributes",
    yaml: "{ actions: [{ key: a, action: convert, converted_type: string }] }",
    attributes: [{ key: "a", value: { arrayValue: { values: [{ stringValue: "<b>&" }] } } }],
    theirs: [text("a", '["\\u003cb\\u003e\\u0026"]')],
    ours: [text("a", '["<b>&"]')],
  },
  {
    what: "an edit of a key that stands twice is one for both",
    because:
      "opentelemetry-proto, logs.proto: Attribute keys MUST be unique (it is not allowed to have more than one attribute with the same key)",
    signal: "logs",
    type: "attributes",
    yaml: "{ actions: [{ key: a, action: delete }] }",
    attributes: [text("a", "1"), text("a", "2")],
    theirs: [text("a", "2")],
    ours: [],
  },
  {
    what: "a text that is not UTF-8 is hashed as it reads, with U+FFFD in the place of what is wrong",
    because:
      "protobuf, proto3 guide, scalar value types: a string must always contain UTF-8 encoded or 7-bit ASCII text",
    signal: "logs",
    type: "attributes",
    yaml: "{ actions: [{ key: a, action: convert, converted_type: string }, { key: a, action: hash }] }",
    attributes: [],
    theirs: [],
    ours: [],
  },
];
