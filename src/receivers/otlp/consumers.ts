import type { Consumer, SignalConsumers } from "../../core/consumer.ts";
import type { Signal } from "../../core/signal.ts";

type SignalVisitor<T> = <S extends Signal>(signal: S, consumer: Consumer<S>) => T;

/** Visits the signals that a pipeline takes from this receiver; the others have no door. */
export function mapConsumers<T>(next: SignalConsumers, visit: SignalVisitor<T>): T[] {
  const visited: T[] = [];
  if (next.traces !== undefined) visited.push(visit("traces", next.traces));
  if (next.metrics !== undefined) visited.push(visit("metrics", next.metrics));
  if (next.logs !== undefined) visited.push(visit("logs", next.logs));
  return visited;
}
