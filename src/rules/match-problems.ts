import type { SignalProblem } from "../core/component.ts";
import type { Signal } from "../core/signal.ts";
import { type AttributeInput, Double } from "../wire/otlp/types.ts";
import { isGiven, isOneOf } from "./action-config.ts";
import type { MatchConfig } from "./match-config.ts";
import { compilePattern, PatternError } from "./pattern.ts";

export const MATCH_TYPES = ["regexp", "strict"] as const;

/** SpanKind by number, as the protobuf names it. */
export const SPAN_KINDS = [
  "SPAN_KIND_UNSPECIFIED",
  "SPAN_KIND_INTERNAL",
  "SPAN_KIND_SERVER",
  "SPAN_KIND_CLIENT",
  "SPAN_KIND_PRODUCER",
  "SPAN_KIND_CONSUMER",
] as const;

type Condition = Exclude<keyof MatchConfig, "match_type" | "regexp">;

interface SignalRules {
  /** What can be asked of this signal; anything else that is written is refused. */
  readonly conditions: readonly Condition[];
  /** The Collector's words for what does not belong, and for nothing written. */
  readonly foreign: (found: Condition) => string;
  readonly nothing: string;
}

const RULES: Readonly<Record<Signal, SignalRules>> = {
  traces: {
    conditions: ["services", "span_names", "span_kinds", "attributes", "resources", "libraries"],
    foreign: (found) => `${found} should not be specified for trace spans`,
    nothing: 'at least one of "attributes", "libraries",  or "resources" field must be specified',
  },
  logs: {
    conditions: ["log_bodies", "log_severity_texts", "log_severity_number", "attributes", "resources", "libraries"],
    foreign: () => "services, span_names, span_kinds and metric_names are not valid for log records",
    nothing:
      'at least one of "attributes", "libraries", "span_kinds", "resources", "log_bodies", "log_severity_texts" or "log_severity_number" field must be specified',
  },
  metrics: {
    conditions: ["metric_names", "resources"],
    foreign: () =>
      '"span_names", "span_kinds", "log_bodies", "log_severity_texts", "log_severity_number", "services", "attributes" and "libraries" are not valid for metrics',
    nothing: 'at least one of "metric_names" or "resources" field must be specified',
  },
};

const TEXT_LISTS = [
  "services",
  "span_names",
  "span_kinds",
  "log_bodies",
  "log_severity_texts",
  "metric_names",
] as const satisfies readonly Condition[];

const CONDITIONS = [
  ...TEXT_LISTS,
  "log_severity_number",
  "attributes",
  "resources",
  "libraries",
] as const satisfies readonly Condition[];

/** What of `include` or `exclude` (`path` says which) does not fit a signal. Empty: compileMatch() takes it. */
export function matchProblems(signal: Signal, config: MatchConfig | undefined, path: string): SignalProblem[] {
  if (config === undefined) return [];
  const check = new MatchCheck(signal, config, path);
  check.run();
  return check.problems;
}

class MatchCheck {
  readonly problems: SignalProblem[] = [];
  readonly #signal: Signal;
  readonly #config: MatchConfig;
  readonly #path: string;

  constructor(signal: Signal, config: MatchConfig, path: string) {
    this.#signal = signal;
    this.#config = config;
    this.#path = path;
  }

  run(): void {
    const rules = RULES[this.#signal];
    const written = CONDITIONS.filter((condition) => this.#isWritten(condition));
    for (const condition of written) {
      if (rules.conditions.includes(condition)) continue;
      this.#refuse([condition], rules.foreign(condition), `leave it out, or out of ${this.#signal} pipelines`);
    }
    if (written.length === 0) this.#refuse([], rules.nothing, `write one of ${rules.conditions.join(", ")}`);
    // What the Collector does not look at for metrics is not refused either.
    const isIgnored = this.#signal === "metrics" && (this.#config.match_type === "expr" || written.length === 0);
    if (!isIgnored) this.#checkTexts();
  }

  #isWritten(condition: Condition): boolean {
    const value = this.#config[condition];
    return Array.isArray(value) ? value.length > 0 : value !== undefined;
  }

  #checkTexts(): void {
    const { match_type: type } = this.#config;
    const needsType = this.#textsAt().length > 0 || this.#pairs().some(({ value }) => isGiven(value));
    if (needsType && !isOneOf(MATCH_TYPES, type)) {
      const message = `unrecognized match_type: '${type}', valid types are: [${MATCH_TYPES.join(" ")}]`;
      this.#refuse(["match_type"], message, "write match_type: strict");
    }
    this.#checkKeys();
    if (type === "regexp") this.#checkPatterns();
    if (type === "strict") this.#checkKinds();
  }

  /** Every text that is compared, and where it stands. */
  #textsAt(): { readonly path: readonly (string | number)[]; readonly text: string }[] {
    const { libraries } = this.#config;
    const lists = TEXT_LISTS.flatMap((list) =>
      this.#config[list].map((text, index) => ({ path: [list, index], text })),
    );
    const scopes = libraries.flatMap(({ name, version }, index) => [
      { path: ["libraries", index, "name"], text: name },
      ...(version === undefined ? [] : [{ path: ["libraries", index, "version"], text: version }]),
    ]);
    return [...lists, ...scopes];
  }

  /** For metrics the Collector reads `resources` and asks nothing of them. */
  #pairs() {
    if (this.#signal === "metrics") return [];
    return (["attributes", "resources"] as const).flatMap((list) =>
      this.#config[list].map((pair, index) => ({ ...pair, path: [list, index] as const })),
    );
  }

  #checkKeys(): void {
    for (const { key, path } of this.#pairs()) {
      if (key !== "") continue;
      this.#refuse(
        [...path, "key"],
        "can't have empty key in the list of attributes",
        "write key: an attribute's name",
      );
    }
  }

  #checkPatterns(): void {
    for (const { path, text } of this.#textsAt()) this.#checkPattern(path, text);
    for (const { key, value, path } of this.#pairs()) {
      if (!isGiven(value)) continue;
      if (typeof value === "string") this.#checkPattern([...path, "value"], value);
      else {
        const message = `match_type=regexp for ${JSON.stringify(key)} only supports Str, but found ${typeWord(value)}`;
        this.#refuse([...path, "value"], message, "put the value into quotes");
      }
    }
  }

  #checkPattern(path: readonly (string | number)[], text: string): void {
    try {
      compilePattern(text);
    } catch (thrown) {
      if (!(thrown instanceof PatternError)) throw thrown;
      const fix = "write it in Go's syntax: https://pkg.go.dev/regexp/syntax";
      this.#refuse(path, `error parsing regexp: ${thrown.message}`, fix);
    }
  }

  #checkKinds(): void {
    const kinds: readonly string[] = SPAN_KINDS.slice(1);
    for (const [index, kind] of this.#config.span_kinds.entries()) {
      if (kinds.includes(kind)) continue;
      const message = "span_kinds string must match one of the standard span kinds when match_type=strict";
      this.#refuse(["span_kinds", index], message, `write one of ${kinds.join(", ")}`);
    }
  }

  #refuse(path: readonly (string | number)[], message: string, fix: string): void {
    this.problems.push({ path: [this.#path, ...path], message, fix });
  }
}

/** The Collector's names of types. */
function typeWord(value: Exclude<AttributeInput, null>): string {
  if (typeof value === "boolean") return "Bool";
  if (value instanceof Double || (typeof value === "number" && !Number.isSafeInteger(value))) return "Double";
  if (typeof value !== "object") return "Int";
  return Array.isArray(value) ? "Slice" : "Map";
}
