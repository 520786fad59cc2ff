import { DESTINATIONS } from "./contenders.ts";
import type { Fault, History, Interval, Life, Receipt, SentRequest } from "./history.ts";
import { ATTEMPT_TIMEOUT_MS } from "./backend.ts";

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
 * A backend's answer becomes the gateway's knowledge for good with the next group that it writes, at most 100 ms later;
 * the rest is the write, and the machine.
 */
const KILL_WINDOW_MS = 400;

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
  /** The others, by what took the answer away. */
  readonly excused: ReadonlyMap<string, Copies>;
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

function destinationFailures({ destination, lost, duplicated }: DestinationVerdict): string[] {
  return [
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
  const excuses = new Excuses(destination, history);
  const lost: number[] = [];
  const duplicated: number[] = [];
  for (const request of history.requests) {
    for (let record = request.first; record < request.first + request.count; record++) {
      const outcomes = byRecord.get(record) ?? [];
      if (outcomes.length === 0 && request.acknowledgedMs !== undefined) lost.push(record);
      if (outcomes.length > 1 && !excuses.cover(request, outcomes)) duplicated.push(record);
    }
  }
  const count = (outcome: Receipt["outcome"]): number =>
    receipts.reduce((sum, receipt) => sum + (receipt.outcome === outcome ? receipt.records.length : 0), 0);
  return { destination, taken: count("taken"), rejected: count("rejected"), lost, duplicated, excused: excuses.used() };
}

/** Why a record may be at a destination more than once; each lost answer explains one copy. */
class Excuses {
  readonly #history: History;
  readonly #cuts: readonly Fault[];
  readonly #records = new Map<string, number>();
  readonly #requests = new Map<string, Set<Receipt | Interval>>();

  constructor(destination: string, history: History) {
    this.#history = history;
    const lane = `backend ${DESTINATIONS.indexOf(destination as (typeof DESTINATIONS)[number])}`;
    this.#cuts = history.faults.filter((fault) => fault.kind === "cut" && fault.lane === lane);
  }

  /** True where every copy beyond the first has a lost answer before it. */
  cover({ unanswered }: SentRequest, outcomes: readonly Receipt[]): boolean {
    const reasons: [string, Receipt | Interval][] = [];
    // The last copy's own answer explains nothing: no copy came after it.
    for (const receipt of outcomes.toSorted((a, b) => a.arrivedMs - b.arrivedMs).slice(0, -1)) {
      const reason = lostBecause(receipt, this.#history, this.#cuts);
      if (reason !== undefined) reasons.push([reason, receipt]);
    }
    for (const attempt of unanswered) reasons.push(["an attempt of the sender had no answer", attempt]);
    const needed = outcomes.length - 1;
    if (reasons.length < needed) return false;
    for (const [reason, source] of reasons.slice(0, needed)) {
      this.#records.set(reason, (this.#records.get(reason) ?? 0) + 1);
      this.#requests.set(reason, (this.#requests.get(reason) ?? new Set()).add(source));
    }
    return true;
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

/** What kept the gateway from knowing, or from remembering, the backend's answer; undefined where nothing did. */
export function lostBecause(receipt: Receipt, history: History, cuts: readonly Fault[]): string | undefined {
  const { lost, arrivedMs, answeredMs = Number.POSITIVE_INFINITY } = receipt;
  if (lost !== undefined) return lost;
  const isUnderWayAt = (instantMs: number, windowMs: number): boolean =>
    arrivedMs <= instantMs && answeredMs >= instantMs - windowMs;
  if (cuts.some((cut) => isUnderWayAt(cut.startMs, INSTANT_MS))) return "the connection was cut with the answer on it";
  const stops = history.faults.filter(({ kind }) => kind === "stop");
  const isStopped = stops.some(({ startMs, endMs }) => arrivedMs <= endMs && answeredMs >= startMs - INSTANT_MS);
  if (isStopped) return "the gateway was stopped with the answer on its way";
  for (const life of history.lives) {
    const reason = forgottenBy(life, history.faults, isUnderWayAt);
    if (reason !== undefined) return reason;
  }
  return answeredMs - arrivedMs > ATTEMPT_TIMEOUT_MS - INSTANT_MS
    ? "the answer came as late as the timeout"
    : undefined;
}

/** The end of this life took the answer with it: it was not written yet. */
function forgottenBy(
  { end, endMs }: Life,
  faults: readonly Fault[],
  isUnderWayAt: (instantMs: number, windowMs: number) => boolean,
): string | undefined {
  const trouble = faults.find(
    ({ kind, startMs, endMs: overMs }) =>
      kind.startsWith("disk") && startMs <= endMs && overMs + DISK_AFTERMATH_MS >= endMs,
  );
  if (trouble !== undefined && isUnderWayAt(endMs, endMs - trouble.startMs + KILL_WINDOW_MS))
    return "the disk could not take the note of the answer before the process ended";
  return end !== "terminated" && isUnderWayAt(endMs, KILL_WINDOW_MS)
    ? "the process was killed with the answer fresh"
    : undefined;
}

function sumCounts(requests: readonly SentRequest[]): number {
  return requests.reduce((sum, { count }) => sum + count, 0);
}
