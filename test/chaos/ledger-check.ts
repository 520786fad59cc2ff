import { DESTINATIONS } from "./contenders.ts";
import type { History, Interval, Life, Receipt, SentRequest } from "./history.ts";
import { lostBecause } from "./judge.ts";

/**
 * The ledger that the gateway prints at exit, against what senders and backends counted in the same life. Where an answer
 * was lost the two may differ, by at most what that answer was about.
 */
export function checkLedgers(history: History): string[] {
  return history.lives.flatMap((life, index) => {
    // Only who ends in peace prints it.
    if (life.end !== "terminated") return [];
    const ledger = readLedger(life.output);
    return checkLife(ledger, history, life).map((sentence) => `the ledger of life ${index + 1}: ${sentence}`);
  });
}

/** What of `signalbox ledger --json` is looked at. */
export interface LedgerReport {
  readonly ever: {
    readonly receivers: readonly object[];
    readonly destinations: readonly ({ readonly destination: string } & object)[];
  };
  readonly imbalances: readonly string[];
}

/** The ledger over all lives, those that ended by SIGKILL included, as it was left in the storage. */
export function checkLedgerReport({ ever, imbalances }: LedgerReport, history: History): string[] {
  const rows = [
    ...ever.receivers.map((row, index) => [`receivers.${index}`, row] as const),
    ...ever.destinations.map((row) => [`exporters.${row.destination} `, row] as const),
  ];
  const ledger = new Map(rows.map(([name, row]) => [name, countsOf(row)]));
  const always = { startMs: 0, endMs: Number.POSITIVE_INFINITY };
  const accepted = sumOf(ledger, "receivers.", ["accepted"]);
  const sentences = [
    ...imbalances,
    ...outside("accepted", accepted, acceptedBounds(history.requests, always)),
    ...DESTINATIONS.flatMap((destination) => checkCounts(destination, ledger, history, always)),
  ];
  return sentences.map((sentence) => `the ledger over all lives: ${sentence}`);
}

function countsOf(row: object): Map<string, number> {
  return new Map(Object.entries(row).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

/** Rows by name, and the counts in each. */
export type Ledger = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** `  exporters.otlp_grpc/first logs: admitted 353, sent 353`. */
export function readLedger(output: string): Ledger {
  const rows = output.matchAll(/^ {2}((?:receivers|pipelines|exporters)\.\S+[^:\n]*): (.+)$/gm);
  return new Map(
    [...rows].map(([, name = "", counts = ""]) => [
      name,
      new Map(
        counts.split(", ").map((count) => {
          const at = count.lastIndexOf(" ");
          return [count.slice(0, at), Number(count.slice(at + 1))];
        }),
      ),
    ]),
  );
}

function checkLife(ledger: Ledger, history: History, life: Life): string[] {
  const bounds = acceptedBounds(history.requests, life);
  const accepted = sumOf(ledger, "receivers.", ["accepted"]);
  return [
    ...outside("accepted", accepted, bounds),
    ...DESTINATIONS.flatMap((destination) => checkDestination(destination, ledger, history, life)),
  ];
}

interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** What senders know was acknowledged in this life, and what may have been besides. */
function acceptedBounds(requests: readonly SentRequest[], { startMs, endMs }: Interval): Bounds {
  let least = 0;
  let most = 0;
  for (const { count, acknowledgedMs, unanswered } of requests) {
    const isAcknowledged = acknowledgedMs !== undefined && acknowledgedMs >= startMs && acknowledgedMs <= endMs;
    const unknown = unanswered.filter((attempt) => attempt.endMs >= startMs && attempt.startMs <= endMs).length;
    if (isAcknowledged) least += count;
    most += count * (unknown + (isAcknowledged ? 1 : 0));
  }
  return { least, most };
}

function checkDestination(destination: string, ledger: Ledger, history: History, life: Life): string[] {
  const name = rowOf(destination, ledger);
  if (name === undefined) return [];
  const came = sumOf(ledger, name, ["carried_over", "admitted", "replayed"]);
  const went = sumOf(ledger, name, WAYS_OUT);
  return [
    ...(came === went ? [] : [`${name}: ${came} came and ${went} went`]),
    ...checkCounts(destination, ledger, history, life),
  ];
}

const WAYS_OUT = ["sent", "rejected", "expired", "dead_lettered", "dropped", "evicted", "queued", "in_flight"];

function rowOf(destination: string, ledger: Ledger): string | undefined {
  return [...ledger.keys()].find((name) => name.startsWith("exporters.") && name.includes(`/${destination} `));
}

function checkCounts(destination: string, ledger: Ledger, history: History, { startMs, endMs }: Interval): string[] {
  const name = rowOf(destination, ledger);
  if (name === undefined) return [];
  const receipts = history.receipts.filter(
    (receipt) => receipt.destination === destination && receipt.arrivedMs >= startMs && receipt.arrivedMs <= endMs,
  );
  const sum = (keys: readonly string[]): number => sumOf(ledger, name, keys);
  return [
    ...outside(`${name}: sent`, sum(["sent"]), receiptBounds(receipts, "taken", history)),
    // What a backend refuses for good is rejected, or kept as a dead letter.
    ...outside(`${name}: rejected`, sum(["rejected", "dead_lettered"]), receiptBounds(receipts, "rejected", history)),
  ];
}

function receiptBounds(receipts: readonly Receipt[], outcome: Receipt["outcome"], history: History): Bounds {
  let least = 0;
  let most = 0;
  for (const receipt of receipts) {
    if (receipt.outcome !== outcome) continue;
    most += receipt.records.length;
    if (lostBecause(receipt, history) === undefined) least += receipt.records.length;
  }
  return { least, most };
}

function sumOf(ledger: Ledger, prefix: string, keys: readonly string[]): number {
  let sum = 0;
  for (const [name, counts] of ledger) {
    if (!name.startsWith(prefix)) continue;
    for (const [key, count] of counts) if (keys.includes(key.replace(/\{.*/, ""))) sum += count;
  }
  return sum;
}

function outside(what: string, count: number, { least, most }: Bounds): string[] {
  if (count >= least && count <= most) return [];
  const counted = least === most ? `${least}` : `between ${least} and ${most}`;
  return [`${what} ${count}, and outside ${counted} were counted`];
}
