import { DOOR_WAIT_MS_DEFAULT } from "../core/limits.ts";

/**
 * How much of a sender's time is left over for everything after the wait: storing, the answer, its way back.
 * The bet: half a second covers a network and a busy loop. Lost, the sender times out on data that we keep, and sends it
 * a second time.
 */
export const ANSWER_MARGIN_MS = 500;

/** A storage that has become slow gets several of its slowest syncs. */
export const SYNCS_IN_MARGIN = 4;

export interface WaitLimits {
  /** When the request came in. */
  readonly openedMs: number;
  /** When the sender gives up; Infinity where it does not say. */
  readonly deadlineMs: number;
  /** The 99th percentile of recent syncs of the storage. */
  readonly syncP99Ms: number;
}

/**
 * The time at which a wait ends in a refusal, while the sender still listens: its deadline less a margin that is at most
 * half of its timeout. A sender without a deadline is answered after DOOR_WAIT_MS_DEFAULT.
 */
export function waitEndMs({ openedMs, deadlineMs, syncP99Ms }: WaitLimits): number {
  if (deadlineMs === Number.POSITIVE_INFINITY) return openedMs + DOOR_WAIT_MS_DEFAULT;
  const marginMs = Math.max(ANSWER_MARGIN_MS, SYNCS_IN_MARGIN * syncP99Ms);
  return deadlineMs - Math.min(marginMs, Math.max(deadlineMs - openedMs, 0) / 2);
}
