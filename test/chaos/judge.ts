import { ATTEMPT_TIMEOUT_MS } from "./backend.ts";
import { DESTINATIONS, IN_FLIGHT_MAX } from "./contenders.ts";
import type { History, Interval, Life, Receipt, SentRequest } from "./history.ts";

/**
 * The verdict: every acknowledged record has one outcome at each destination. It may have one more for each answer that
 * a fault took away: of a sender's attempt, or of a backend. Everything else is a loss or a duplicate.
 */

/**
 * An answer on its way at the instant of a fault counts as lost by it: this long before a connection is cut, it may lie
 * in a buffer that goes with the connection. The bet is a machine that gives each process its turn within that time.
 */
const INSTANT_MS = 300;

/**
 * What the gateway has read of a backend outlives a kill at once; what it has not read is on its way. The bet is a machine
 * that gives it its turn within that time; stalls are added as the harness itself had them.
 */
const KILL_WINDOW_MS = 50;

/** A power cut takes what was not synced: with the next group, at most 100 ms later; the rest is the sync, and the machine. */
const POWER_CUT_WINDOW_MS = 400;

const KILLED = "the process was killed with the answer on its way";

/** After trouble with the disk, completions that could not be written are tried again after a second. */
const DISK_AFTERMATH_MS = 1_500;

export interface Copies {
  /** Records of which there is one more than was sent, each time. */
  readonly records: number;
  /** Requests to the backend, or of the sender, whose answers are the reason. */
  readonly requests: number;
}

export interface DestinationVerdict {
  readonly destination: string;
  readonly taken: number;
  readonly rejected: number;
  /** Acknowledged, and neither taken nor rejected. */
  readonly lost: readonly number[];
  /** More outcomes than one, by more than the lost answers explain. */
  readonly duplicated: readonly number[];
  /** Copies beyond the first: all, and those that no lost answer explains. */
  readonly copies: number;
  readonly copiesUnexplained: number;
  /** The explained ones, by what took the answer away. */
  readonly excused: ReadonlyMap<string, Copies>;
  /** Kills after which more requests came again than can be under way, with their times and numbers. */
  readonly excessive: readonly { readonly atMs: number; readonly requests: number }[];
}

export interface Verdict {
  readonly requests: number;
  readonly records: number;
  readonly acknowledged: number;
  readonly refusals: number;
  readonly unanswered: number;
  readonly destinations: readonly DestinationVerdict[];
  /** One sentence each; none where all is well. */
  readonly failures: readonly string[];
}

export function judge(history: History): Verdict {
  const { requests } = history;
  const destinations = DESTINATIONS.map((destination) => judgeDestination(destination, history));
  const acknowledged = requests.filter(({ acknowledgedMs }) => acknowledgedMs !== undefined);
  return {
    requests: requests.length,
    records: history.recordCount,
    acknowledged: sumCounts(acknowledged),
    refusals: requests.reduce((sum, { refusals }) => sum + refusals, 0),
    unanswered: requests.reduce((sum, { unanswered }) => sum + unanswered.length, 0),
    destinations,
    failures: [...history.problems, ...senderFailures(requests), ...destinations.flatMap(destinationFailures)],
  };
}

function senderFailures(requests: readonly SentRequest[]): string[] {
  const rejected = requests.filter((request) => request.rejected !== undefined);
  const open = requests.filter((request) => request.rejected === undefined && request.acknowledgedMs === undefined);
  return [
    ...(rejected.length > 0
      ? [`${rejected.length} good requests were refused for good: ${rejected[0]!.rejected}`]
      : []),
    ...(open.length > 0 ? [`${open.length} requests were not acknowledged before the end of the run`] : []),
  ];
}

function destinationFailures({ destination, lost, duplicated, excessive }: DestinationVerdict): string[] {
  return [
    ...excessive.map(
      ({ atMs, requests }) =>
        `${destination}: ${requests} requests came again after the kill at ${(atMs / 1000).toFixed(1)} s, and at most ${IN_FLIGHT_MAX} are under way at a time`,
    ),
    ...(lost.length > 0 ? [`${destination}: ${lost.length} acknowledged records are lost: ${sample(lost)}`] : []),
    ...(duplicated.length > 0
      ? [
          `${destination}: ${duplicated.length} records are there too often, and no lost answer says why: ${sample(duplicated)}`,
        ]
      : []),
  ];
}

function sample(numbers: readonly number[]): string {
  return numbers.slice(0, 5).join(", ") + (numbers.length > 5 ? ", ..." : "");
}

function judgeDestination(destination: string, history: History): DestinationVerdict {
  const receipts = history.receipts.filter((receipt) => receipt.destination === destination);
  const byRecord = new Map<number, Receipt[]>();
  for (const receipt of receipts) {
    for (const record of receipt.records) {
      const known = byRecord.get(record);
      if (known === undefined) byRecord.set(record, [receipt]);
      else known.push(receipt);
    }
  }
  const excuses = new Excuses(history);
  const lost: number[] = [];
  const duplicated: number[] = [];
  let copies = 0;
  let copiesUnexplained = 0;
  for (const request of history.requests) {
    for (let record = request.first; record < request.first + request.count; record++) {
      const outcomes = byRecord.get(record) ?? [];
      if (outcomes.length === 0 && request.acknowledgedMs !== undefined) lost.push(record);
      if (outcomes.length < 2) continue;
      copies += outcomes.length - 1;
      const covered = excuses.cover(request, outcomes);
      copiesUnexplained += outcomes.length - 1 - covered;
      if (covered < outcomes.length - 1) duplicated.push(record);
    }
  }
  const count = (outcome: Receipt["outcome"]): number =>
    receipts.reduce((sum, receipt) => sum + (receipt.outcome === outcome ? receipt.records.length : 0), 0);
  return {
    destination,
    taken: count("taken"),
    rejected: count("rejected"),
    lost,
    duplicated,
    copies,
    copiesUnexplained,
    excused: excuses.used(),
    excessive: excuses.excessive(),
  };
}

/** Why a record may be at a destination more than once; each lost answer explains one copy. */
class Excuses {
  readonly #history: History;
  readonly #records = new Map<string, number>();
  readonly #requests = new Map<string, Set<Receipt | Interval>>();

  constructor(history: History) {
    this.#history = history;
  }

  /** How many of the copies beyond the first have a lost answer before them. */
  cover({ unanswered }: SentRequest, outcomes: readonly Receipt[]): number {
    const reasons: [string, Receipt | Interval][] = [];
    // The last copy's own answer explains nothing: no copy came after it.
    for (const receipt of outcomes.toSorted((a, b) => a.arrivedMs - b.arrivedMs).slice(0, -1)) {
      const reason = lostBecause(receipt, this.#history);
      if (reason !== undefined) reasons.push([reason, receipt]);
    }
    for (const attempt of unanswered) reasons.push(["an attempt of the sender had no answer", attempt]);
    const used = reasons.slice(0, outcomes.length - 1);
    for (const [reason, source] of used) {
      this.#records.set(reason, (this.#records.get(reason) ?? 0) + 1);
      this.#requests.set(reason, (this.#requests.get(reason) ?? new Set()).add(source));
    }
    return used.length;
  }

  /** A request that was taken in part has two receipts of the same time. */
  excessive(): DestinationVerdict["excessive"] {
    const times = new Map<number, Set<number>>();
    for (const source of this.#requests.get(KILLED) ?? []) {
      const endMs = "arrivedMs" in source ? endOfLife(source, this.#history.lives) : undefined;
      if (endMs === undefined || !("arrivedMs" in source)) continue;
      times.set(endMs, (times.get(endMs) ?? new Set()).add(source.arrivedMs));
    }
    return [...times]
      .map(([atMs, arrivals]) => ({ atMs, requests: arrivals.size }))
      .filter(({ requests }) => requests > IN_FLIGHT_MAX);
  }

  used(): Map<string, Copies> {
    return new Map(
      [...this.#records].map(([reason, records]) => [
        reason,
        { records, requests: this.#requests.get(reason)?.size ?? 0 },
      ]),
    );
  }
}

/** When the process was killed that had this request under way. */
function endOfLife({ arrivedMs }: Receipt, lives: readonly Life[]): number | undefined {
  return lives.find(({ end, endMs }) => end === "killed" && endMs >= arrivedMs)?.endMs;
}

/** What kept the gateway from knowing, or from remembering, the backend's answer; undefined where nothing did. */
export function lostBecause(receipt: Receipt, history: History): string | undefined {
  const { lost, arrivedMs, answeredMs = Number.POSITIVE_INFINITY } = receipt;
  if (lost !== undefined) return lost;
  const isUnderWayAt = (instantMs: number, windowMs: number): boolean =>
    arrivedMs <= instantMs && answeredMs >= instantMs - windowMs;
  const lane = `backend ${DESTINATIONS.findIndex((name) => name === receipt.destination)}`;
  const cuts = history.faults.filter((fault) => fault.kind === "cut" && fault.lane === lane);
  if (cuts.some((cut) => isUnderWayAt(cut.startMs, INSTANT_MS))) return "the connection was cut with the answer on it";
  const stops = history.faults.filter(({ kind }) => kind === "stop");
  const isStopped = stops.some(({ startMs, endMs }) => arrivedMs <= endMs && answeredMs >= startMs - INSTANT_MS);
  if (isStopped) return "the gateway was stopped with the answer on its way";
  // What is left of a request that was taken in part is written with a sync, and not noted: it has bytes of its own.
  const isPart = history.faults.some(
    ({ kind, lane: where, startMs, endMs }) =>
      kind === "too_large_413" && where === lane && arrivedMs >= startMs && arrivedMs <= endMs + DISK_AFTERMATH_MS,
  );
  for (const life of history.lives) {
    const reason = forgottenBy(life, history, { isUnderWayAt, needsDisk: isPart || life.end === "lost power" });
    if (reason !== undefined) return reason;
  }
  return answeredMs - arrivedMs > ATTEMPT_TIMEOUT_MS - INSTANT_MS
    ? "the answer came as late as the timeout"
    : undefined;
}

/** The end of this life took the answer with it: it was not written yet. */
function forgottenBy(
  { end, endMs, struckMs }: Life,
  history: History,
  {
    isUnderWayAt,
    needsDisk,
  }: { readonly isUnderWayAt: (instantMs: number, windowMs: number) => boolean; readonly needsDisk: boolean },
): string | undefined {
  const windowMs = end === "lost power" ? POWER_CUT_WINDOW_MS : KILL_WINDOW_MS;
  const freshMs = windowMs + Math.max(endMs - struckMs, 0) + history.stallMs(endMs);
  const trouble = history.faults.find(
    ({ kind, startMs, endMs: overMs }) =>
      kind.startsWith("disk") && startMs <= endMs && overMs + DISK_AFTERMATH_MS >= endMs,
  );
  if (needsDisk && trouble !== undefined && isUnderWayAt(endMs, endMs - trouble.startMs + freshMs))
    return "the disk could not take the note of the answer before the process ended";
  if (end === "terminated" || !isUnderWayAt(endMs, freshMs)) return undefined;
  return end === "lost power" ? "the power was cut with the answer fresh" : KILLED;
}

function sumCounts(requests: readonly SentRequest[]): number {
  return requests.reduce((sum, { count }) => sum + count, 0);
}
