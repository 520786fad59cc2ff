import type { Signal } from "../../core/signal.ts";
import { compileMatch, type Match } from "../../rules/match.ts";
import type { RecordViews, ScopeGroup } from "../../wire/otlp/types.ts";
import type { AttributesConfig } from "./config.ts";

/** Which records of a scope are edited. Asked once for each scope: most selections are settled by resource and scope. */
export type Selection<S extends Signal> = (
  scope: ScopeGroup<RecordViews[S]>,
) => "all" | "none" | ((record: RecordViews[S]) => boolean);

/** undefined where all records are edited. */
export function compileSelection<S extends Signal>(signal: S, config: AttributesConfig): Selection<S> | undefined {
  const written = compileMatch(signal, config.include);
  const exclude = compileMatch(signal, config.exclude);
  if (written === undefined && exclude === undefined) return undefined;
  const include: Match<S> = written ?? { scope: () => true };
  return (scope) => {
    if (!include.scope(scope)) return "none";
    const isExcluded = exclude !== undefined && exclude.scope(scope);
    return isExcluded ? selectBoth(include, exclude) : (include.record ?? "all");
  };
}

/** A scope of which `exclude` takes all, or some. */
function selectBoth<S extends Signal>(include: Match<S>, exclude: Match<S>): ReturnType<Selection<S>> {
  const { record: isIncluded } = include;
  const { record: isExcluded } = exclude;
  if (isExcluded === undefined) return "none";
  if (isIncluded === undefined) return (record) => !isExcluded(record);
  return (record) => isIncluded(record) && !isExcluded(record);
}
