import type {
  AttributeInput,
  Attributes,
  LogRecordView,
  MetricView,
  ScopeGroup,
  SpanView,
} from "../wire/otlp/types.ts";
import type { RecordViews } from "../wire/otlp/types.ts";
import type { Signal } from "../core/signal.ts";
import { isGiven, isOneOf } from "./action-config.ts";
import { isEqualTo } from "./attribute-equality.ts";
import { formatPlainFloat } from "./go-numbers.ts";
import type { MatchConfig } from "./match-config.ts";
import { MATCH_TYPES, SPAN_KINDS } from "./match-problems.ts";
import { CACHE_ENTRIES_MAX, textFilter } from "./text-filter.ts";
import { valueText } from "./value-text.ts";

/**
 * `include` or `exclude`, compiled. What depends on resource and scope alone is asked once for all records below;
 * a record matches where both parts hold. `record` is absent where nothing is asked of the record itself.
 */
export interface Match<S extends Signal> {
  readonly scope: (scope: ScopeGroup<RecordViews[S]>) => boolean;
  readonly record?: (record: RecordViews[S]) => boolean;
}

/**
 * undefined where there is nothing to ask. As in the Collector that is so for metrics too where only `resources` is
 * written, or `expr` without its expressions, and then neither `include` nor `exclude` has an effect.
 * The configuration must be one in which matchProblems() found nothing.
 */
export function compileMatch<S extends Signal>(signal: S, config: MatchConfig | undefined): Match<S> | undefined {
  if (config === undefined || (signal === "metrics" && !asksOfMetrics(config))) return undefined;
  const { scope, record } = COMPILERS[signal](config);
  return { scope, ...(record.length > 0 && { record: allOf(record) }) };
}

function asksOfMetrics({ match_type: type, metric_names: names }: MatchConfig): boolean {
  return type !== "expr" && names.length > 0;
}

interface Conditions<S extends Signal> {
  readonly scope: (scope: ScopeGroup<RecordViews[S]>) => boolean;
  readonly record: readonly ((record: RecordViews[S]) => boolean)[];
}

const COMPILERS: { readonly [S in Signal]: (config: MatchConfig) => Conditions<S> } = {
  logs: (config) => ({
    scope: scopeCondition(config),
    record: given([
      whereAny(config, config.log_bodies, (record: LogRecordView) => valueText(record.body)),
      whereAny(config, config.log_severity_texts, (record: LogRecordView) => record.severityText),
      severityCondition(config),
      attributesCondition(config),
    ]),
  }),
  traces: (config) => {
    const service = whereAny(config, config.services, serviceName);
    const scope = scopeCondition(config);
    return {
      scope: service === undefined ? scope : (group) => service(group) && scope(group),
      record: given([
        whereAny(config, config.span_names, (span: SpanView) => span.name),
        whereAny(config, config.span_kinds, (span: SpanView) => SPAN_KINDS[span.kind] ?? ""),
        attributesCondition(config),
      ]),
    };
  },
  metrics: (config) => ({
    scope: () => true,
    record: given([whereAny(config, config.metric_names, (metric: MetricView) => metric.name)]),
  }),
};

function given<T>(conditions: readonly (T | undefined)[]): T[] {
  return conditions.filter((condition) => condition !== undefined);
}

function allOf<R>(conditions: readonly ((record: R) => boolean)[]): (record: R) => boolean {
  const [first] = conditions;
  if (conditions.length === 1 && first !== undefined) return first;
  return (record) => {
    for (const condition of conditions) if (!condition(record)) return false;
    return true;
  };
}

/** One of the texts must fit; undefined where there are none. */
function whereAny<T>(
  config: MatchConfig,
  texts: readonly string[],
  textOf: (from: T) => string,
): ((from: T) => boolean) | undefined {
  if (texts.length === 0) return undefined;
  const filter = filterFor(config, texts);
  return (from) => filter(textOf(from));
}

function filterFor(config: MatchConfig, texts: readonly string[]): (text: string) => boolean {
  const { match_type: matchType, regexp } = config;
  if (!isOneOf(MATCH_TYPES, matchType)) throw new TypeError(`unrecognized match_type: '${matchType}'`);
  const isCached = regexp?.cacheenabled === true;
  return textFilter(texts, { matchType, cacheEntries: isCached ? regexp.cachemaxnumentries || CACHE_ENTRIES_MAX : 0 });
}

interface ScopeLike {
  readonly group: { readonly resource: { readonly attributes: Attributes } };
  readonly scope: { readonly name: string; readonly version: string };
}

/** What a span's resource says of its service; the Collector's word where it says nothing. */
function serviceName({ group }: ScopeLike): string {
  const value = group.resource.attributes.get("service.name");
  return value === undefined ? "<nil-service-name>" : valueText(value);
}

function scopeCondition(config: MatchConfig): (scope: ScopeLike) => boolean {
  const libraries = config.libraries.map(({ name, version }) => ({
    name: filterFor(config, [name]),
    version: version === undefined ? undefined : filterFor(config, [version]),
  }));
  const resource = pairsCondition(config, config.resources);
  return ({ group, scope }) => {
    for (const { name, version } of libraries) {
      if (!name(scope.name) || version?.(scope.version) === false) return false;
    }
    return resource?.(group.resource.attributes) ?? true;
  };
}

function severityCondition({
  log_severity_number: bounds,
}: MatchConfig): ((record: LogRecordView) => boolean) | undefined {
  if (bounds === undefined) return undefined;
  const { min, match_undefined: matchesUndefined } = bounds;
  return ({ severityNumber: number }) => (number === 0 ? matchesUndefined : number >= min);
}

function attributesCondition(
  config: MatchConfig,
): ((record: { readonly attributes: Attributes }) => boolean) | undefined {
  const condition = pairsCondition(config, config.attributes);
  return condition === undefined ? undefined : (record) => condition(record.attributes);
}

/** Each of the keys must be there, with its value where one is written. */
function pairsCondition(
  config: MatchConfig,
  pairs: MatchConfig["attributes"],
): ((attributes: Attributes) => boolean) | undefined {
  if (pairs.length === 0) return undefined;
  const conditions = pairs.map(({ key, value }) => pairCondition(config, key, value ?? undefined));
  return allOf(conditions);
}

function pairCondition(
  config: MatchConfig,
  key: string,
  value: AttributeInput | undefined,
): (attributes: Attributes) => boolean {
  if (!isGiven(value)) return (attributes) => attributes.has(key);
  if (config.match_type !== "regexp") return isEqualTo(key, value);
  // The configuration was checked: with regexp every value is a text.
  const filter = filterFor(config, [value as string]);
  return (attributes) => {
    const text = scalarText(attributes, key);
    return text !== undefined && filter(text);
  };
}

/** Scalars as text; lists, maps, bytes and nothing match no pattern. */
function scalarText(attributes: Attributes, key: string): string | undefined {
  const value = attributes.get(key);
  if (typeof value === "string") return value;
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value !== "number") return undefined;
  return attributes.kindOf(key) === "double" ? formatPlainFloat(value) : String(value);
}
