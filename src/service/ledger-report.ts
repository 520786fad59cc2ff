import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Signal } from "../core/signal.ts";
import { Ledger } from "../queue/ledger.ts";
import type { LedgerSnapshot } from "../queue/ledger.ts";
import { nodeDisk } from "../queue/segment-log/disk.ts";
import type { Disk } from "../queue/segment-log/disk.ts";
import { SegmentLog } from "../queue/segment-log/segment-log.ts";
import type { AdminRoute } from "./admin-door.ts";
import { MetricsRegistry } from "./metrics-registry.ts";

/** What `signalbox ledger` shows. */
export interface LedgerReport {
  /** Of the gateway that was asked; undefined where the folder was read. */
  readonly pid?: number;
  /** Since that gateway started. */
  readonly run?: LedgerSnapshot;
  /** Over all runs of the storage, this one included. */
  readonly ever: LedgerSnapshot;
  /** A sentence for each equation that does not hold. */
  readonly imbalances: readonly string[];
}

export const LEDGER_PATH = "/ledger";

export function ledgerRoute(ledger: Ledger): AdminRoute {
  return { method: "GET", path: LEDGER_PATH, answer: () => ({ json: reportOf(ledger) }) };
}

function reportOf(ledger: Ledger): LedgerReport {
  return {
    pid: process.pid,
    run: ledger.snapshot("run"),
    ever: ledger.snapshot("ever"),
    imbalances: ledger.imbalances(),
  };
}

/**
 * The ledger of a gateway that has stopped, or was killed: its log replayed, as its next start will replay it. Changes
 * nothing in the folder, so that it does no harm where a gateway starts meanwhile. Rejects where the folder cannot be read.
 */
export async function readStoredLedger(
  folder: string,
  settings: { readonly clock: Clock; readonly logger: Logger },
): Promise<LedgerReport> {
  const ledger = new Ledger(new MetricsRegistry());
  const waiting = new Map<string, { destination: string; signal: Signal; items: number }>();
  const kept = new Map<string, { destination: string; signal: Signal; items: number }>();
  const log = new SegmentLog({ folder, disk: untouched, isOnlyRead: true, ...settings });
  await log.replay({
    entry: ({ destination, signal, itemCount }) => {
      const key = `${destination} ${signal}`;
      waiting.set(key, { destination, signal, items: (waiting.get(key)?.items ?? 0) + itemCount });
    },
    letter: ({ destination, signal, itemCount }) => {
      const key = `${destination} ${signal}`;
      kept.set(key, { destination, signal, items: (kept.get(key)?.items ?? 0) + itemCount });
    },
    seen: () => undefined,
    state: () => undefined,
    total: (counterId, items) => ledger.restore(counterId, items),
  });
  await log.close();
  for (const { destination, signal, items } of waiting.values()) {
    const account = ledger.destination(destination, signal);
    account.carriedOver.add(items);
    account.observe(() => ({ queuedItems: items, inFlightItems: 0 }));
  }
  for (const { destination, signal, items } of kept.values()) ledger.letters(destination, signal).observe(() => items);
  // In this copy only; the next start books it in the storage.
  ledger.bookDamage();
  return { ever: ledger.snapshot("ever"), imbalances: ledger.imbalances() };
}

/** Takes no change: what replay tidies up is left for the gateway that owns the folder. */
const untouched: Disk = {
  ...nodeDisk,
  openForWriting: async (folder, name) => {
    const file = await nodeDisk.openForReading(folder, name);
    return Object.assign(file, { sync: () => Promise.resolve(), writeNow: () => undefined });
  },
  remove: () => Promise.resolve(),
  writeFile: () => Promise.resolve(),
};
