import { closestName } from "../core/closest-name.ts";

/** The line that goes below a message, or nothing. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const nearest = closestName(name, candidates);
  return nearest === undefined ? undefined : `did you mean "${nearest}"?`;
}
