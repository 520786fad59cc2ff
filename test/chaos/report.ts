import type { History, Receipt } from "./history.ts";
import type { DestinationVerdict, Verdict } from "./judge.ts";

/** The verdict for people: what was sent, what arrived, which copies are excused and by what, and what is wrong. */
export function formatVerdict(verdict: Verdict): string {
  const { requests, records, acknowledged, refusals, unanswered, destinations, failures } = verdict;
  return [
    `sent ${records} records in ${requests} requests; ${acknowledged} acknowledged; ${refusals} attempts refused, ${unanswered} without an answer`,
    ...destinations.flatMap(formatDestination),
    ...failures.map((failure) => `FAILED: ${failure}`),
    failures.length === 0 ? "nothing lost, nothing twice but for lost answers" : `${failures.length} failures`,
    "",
  ].join("\n");
}

function formatDestination({ destination, taken, rejected, lost, duplicated, excused }: DestinationVerdict): string[] {
  return [
    `${destination}: took ${taken}, rejected ${rejected}; lost ${lost.length}, unexplained copies of ${duplicated.length}`,
    ...[...excused].map(
      ([reason, { records, requests }]) => `  copies of ${records} records from ${requests} requests: ${reason}`,
    ),
  ];
}

/** What is known of one record that is wrong at each destination: enough to follow it through the gateway. */
export function formatEvidence({ destinations }: Verdict, history: History): string {
  return destinations
    .flatMap(({ destination, lost, duplicated }) =>
      [lost[0], duplicated[0]].flatMap((record) =>
        record === undefined ? [] : evidence(record, destination, history),
      ),
    )
    .join("\n");
}

function evidence(record: number, destination: string, history: History): string[] {
  const request = history.requests.find(({ first, count }) => record >= first && record < first + count);
  const receipts = history.receipts.filter((one) => one.destination === destination && one.records.includes(record));
  if (request === undefined) return [];
  const times = [request.acknowledgedMs ?? 0, ...receipts.map(({ arrivedMs }) => arrivedMs)];
  const [fromMs, toMs] = [Math.min(...times) - 1_000, Math.max(...times) + 1_000];
  const isNear = ({ startMs, endMs }: { startMs: number; endMs: number }): boolean => startMs < toMs && endMs > fromMs;
  return [
    `evidence: record ${record} at ${destination}, acknowledged at ${atS(request.acknowledgedMs)}, ${request.unanswered.length} attempts without an answer`,
    ...receipts.map(formatReceipt),
    ...history.faults
      .filter(isNear)
      .map(({ id, kind, lane, startMs, endMs }) => `  fault ${id}: ${kind} (${lane}) ${atS(startMs)} to ${atS(endMs)}`),
    ...history.lives
      .filter(({ endMs }) => endMs > fromMs && endMs < toMs)
      .map(
        ({ end, endMs, output }) =>
          `  the process was ${end} at ${atS(endMs)}, and its last words were\n${lastLines(output)}`,
      ),
  ];
}

const LINES_SHOWN = 15;

function lastLines(output: string): string {
  const lines = output.trimEnd().split("\n").slice(-LINES_SHOWN);
  return lines.map((line) => `    | ${line}`).join("\n");
}

function formatReceipt({ outcome, records, arrivedMs, answeredMs, lost }: Receipt): string {
  const loss = lost === undefined ? "" : `, lost: ${lost}`;
  return `  ${outcome} with ${records.length} records at ${atS(arrivedMs)}, answered at ${atS(answeredMs)}${loss}`;
}

function atS(ms: number | undefined): string {
  return ms === undefined ? "no time" : `${(ms / 1000).toFixed(3)} s`;
}
