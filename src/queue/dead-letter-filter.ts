import { parseDurationMs } from "../config/duration.ts";
import { closestName } from "../core/closest-name.ts";
import { SIGNALS } from "../core/signal.ts";
import { SPELLINGS } from "../core/spellings.ts";
import { idOf } from "./dead-letter.ts";
import type { DeadLetter } from "./dead-letter.ts";
import { DEAD_LETTER_REASONS } from "./storage.ts";

/** A filter that means nothing; the message is for the person who wrote it. */
export class DeadLetterFilterError extends Error {
  override readonly name = "DeadLetterFilterError";
}

/** `key=value` terms, all of which must hold: `destination=otlp_grpc/dash0`, `reason=rejected`, `since=6h`, `job=job-123`. */
export interface DeadLetterFilter {
  /** What can be told without the payload. */
  readonly matches: (letter: DeadLetter) => boolean;
  /** Of the payload: some record, or what stands above it, has an attribute of one of these names with this value. */
  readonly attributes: readonly AttributeTerm[];
  /** It names letters of which the backend took a part, so a replay takes them along. */
  readonly namesPartialSuccess: boolean;
}

export interface AttributeTerm {
  readonly names: readonly string[];
  readonly value: string;
}

const ATTRIBUTE_PREFIX = "attribute.";

export const DEAD_LETTER_FILTER_KEYS = [
  "id",
  "destination",
  "signal",
  "reason",
  "since",
  "until",
  "job",
  `${ATTRIBUTE_PREFIX}NAME`,
] as const;

type Match = DeadLetterFilter["matches"];

/** `nowMs` is what `since` and `until` count back from. Throws DeadLetterFilterError. */
export function parseDeadLetterFilter(terms: readonly string[], nowMs: number): DeadLetterFilter {
  const matches: Match[] = [];
  const attributes: AttributeTerm[] = [];
  let namesPartialSuccess = false;
  for (const term of terms) {
    const [key, value] = splitTerm(term);
    if (key === "job") attributes.push({ names: SPELLINGS.jobId, value });
    else if (key.startsWith(ATTRIBUTE_PREFIX)) attributes.push({ names: [key.slice(ATTRIBUTE_PREFIX.length)], value });
    else matches.push(matcherOf(key, value, nowMs));
    namesPartialSuccess ||= key === "id" || (key === "reason" && value === "partial_success");
  }
  return { matches: (letter) => matches.every((match) => match(letter)), attributes, namesPartialSuccess };
}

function splitTerm(term: string): [key: string, value: string] {
  const at = term.indexOf("=");
  if (at > 0 && at < term.length - 1) return [term.slice(0, at), term.slice(at + 1)];
  throw new DeadLetterFilterError(`the filter "${term}" is not key=value\n  ${KNOWN_KEYS}`);
}

const KNOWN_KEYS = `the keys are ${DEAD_LETTER_FILTER_KEYS.join(", ")}`;

function matcherOf(key: string, value: string, nowMs: number): Match {
  switch (key) {
    case "id":
      return (letter) => idOf(letter) === value;
    case "destination":
      return ({ destination }) => destination === value;
    case "signal":
      assertKnown(key, value, SIGNALS);
      return ({ signal }) => signal === value;
    case "reason":
      assertKnown(key, value, DEAD_LETTER_REASONS);
      return ({ mark }) => mark.reason === value;
    case "since": {
      const sinceMs = parseTime(key, value, nowMs);
      return ({ mark }) => mark.atUnixMs >= sinceMs;
    }
    case "until": {
      const untilMs = parseTime(key, value, nowMs);
      return ({ mark }) => mark.atUnixMs < untilMs;
    }
    default:
      throw new DeadLetterFilterError(
        `the filter has no key "${key}"\n  ${nearest(key, DEAD_LETTER_FILTER_KEYS) ?? KNOWN_KEYS}`,
      );
  }
}

function assertKnown(key: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  const fix = nearest(value, known) ?? `write one of ${known.join(", ")}`;
  throw new DeadLetterFilterError(`${key} is "${value}"\n  ${fix}`);
}

function nearest(name: string, known: readonly string[]): string | undefined {
  const found = closestName(name, known);
  return found === undefined ? undefined : `did you mean ${found}?`;
}

/** `6h` is a span before now; anything else is a time with its date. */
function parseTime(key: string, value: string, nowMs: number): number {
  const spanMs = parseDurationMs(value);
  if (spanMs !== undefined) return nowMs - spanMs;
  const ms = Date.parse(value);
  if (!Number.isNaN(ms)) return ms;
  throw new DeadLetterFilterError(
    `${key} is "${value}"\n  write a span before now (30m, 6h), or a time (2026-11-24T13:50:00Z)`,
  );
}

/** Looks through a request as OTLP JSON, at every list of attributes there is. */
export function hasAttribute(request: unknown, { names, value }: AttributeTerm): boolean {
  if (Array.isArray(request)) return request.some((element) => hasAttribute(element, { names, value }));
  if (typeof request !== "object" || request === null) return false;
  if ("key" in request && "value" in request && names.includes(String(request.key))) {
    if (textOf(request.value) === value) return true;
  }
  return Object.values(request).some((field) => hasAttribute(field, { names, value }));
}

/** Of an OTLP JSON value that is a scalar: `{ "stringValue": "a" }`, `{ "intValue": "1" }`. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const [scalar] = Object.values(value) as unknown[];
  if (typeof scalar === "string") return scalar;
  return typeof scalar === "number" || typeof scalar === "boolean" ? String(scalar) : undefined;
}
