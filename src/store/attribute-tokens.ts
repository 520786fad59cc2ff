import type { AttributeValue } from "../wire/otlp/types.ts";

/**
 * Attributes as words of the full-text index: `key=value`, one token each, so that any attribute can be looked up
 * without a column of its own. Nested lists give one token an element, nested maps `key.inner=value`.
 *
 * Values are compared without regard to ASCII case, and by their first TOKEN_CHARS_MAX characters.
 */

/** Longer values are base64, stack traces, prompts: nobody looks them up whole, and FTS5 ends a token at 32 KiB. */
const TOKEN_CHARS_MAX = 200;
/** OpenTelemetry's own limit is 128 attributes a record. What is beyond is kept in the bytes, not searchable by key. */
const TOKENS_PER_RECORD_MAX = 256;
const DEPTH_MAX = 4;

export function attributeTokens(attributes: Iterable<readonly [string, AttributeValue]>): string[] {
  const tokens: string[] = [];
  for (const [key, value] of attributes) pushTokens(tokens, key, value, 0);
  return tokens;
}

function pushTokens(tokens: string[], key: string, value: AttributeValue, depth: number): void {
  if (tokens.length >= TOKENS_PER_RECORD_MAX || depth > DEPTH_MAX || value === null) return;
  if (value instanceof Uint8Array) return;
  if (value instanceof Map) {
    for (const [inner, nested] of value) pushTokens(tokens, `${key}.${inner}`, nested, depth + 1);
  } else if (Array.isArray(value)) {
    for (const element of value) pushTokens(tokens, key, element, depth + 1);
  } else if (typeof value !== "object") {
    tokens.push(attributeToken(key, String(value)));
  }
}

/** The token under which `key=value` is stored, and looked up. */
export function attributeToken(key: string, value: string): string {
  return `${key}=${value}`
    .slice(0, TOKEN_CHARS_MAX)
    .replace(ASCII_SEPARATORS, inPrivateUse)
    .replace(ASCII_CAPITALS, toLower);
}

// The tokenizer splits at ASCII blanks and control characters and at nothing else. They move to the private use area,
// one to one, so that "a b" and "a_b" stay different.
// oxlint-disable-next-line no-control-regex
const ASCII_SEPARATORS = /[\u0000-\u0020\u007f]/g;
const ASCII_CAPITALS = /[A-Z]+/g;
const PRIVATE_USE = 0xe000;

function inPrivateUse(char: string): string {
  return String.fromCharCode(PRIVATE_USE + char.charCodeAt(0));
}

// The resource's tokens are compared by SQLite itself, which does not fold, so tokens are folded here as FTS5 folds them.
function toLower(capitals: string): string {
  return capitals.toLowerCase();
}
