import type { Labels, Meter } from "../core/meter.ts";

export type AccountKind = "destination" | "pipeline" | "receiver";

/** The left side of each account's equation; everything else stands on the right. */
const CAME: Readonly<Record<AccountKind, readonly string[]>> = {
  destination: ["carried_over", "admitted", "replayed"],
  pipeline: ["held_before", "incoming", "created"],
  receiver: ["received"],
};

const DESCRIPTIONS: Readonly<Record<AccountKind, string>> = {
  destination: "The ledger of a destination, in items over all runs: what came equals what went.",
  pipeline: "The ledger of a pipeline, in items over all runs: what came equals what went.",
  receiver: "The ledger of a receiver, in items over all runs: what came equals what went.",
};

/**
 * The ledger's equations as metrics: one family for each kind of account, so that one expression checks all of them:
 *
 *   sum by (exporter, data_type) (signalbox_ledger_destination_items{side="came"})
 *     == sum by (exporter, data_type) (signalbox_ledger_destination_items{side="went"})
 *
 * A page is written in one turn of the loop, so that its figures are of one moment. Gauges: what is queued goes back.
 */
export class LedgerMetrics {
  readonly #meter: Meter;

  constructor(meter: Meter, imbalanceCount: () => number) {
    this.#meter = meter;
    const description = "Equations of the ledger that do not hold; anything but 0 is a bug of the gateway.";
    meter.observableGauge("signalbox_ledger_imbalances", {}, { description }, imbalanceCount);
  }

  watch(kind: AccountKind, labels: Labels, entry: string, read: () => number): void {
    const side = CAME[kind].includes(entry) ? "came" : "went";
    const description = { description: DESCRIPTIONS[kind], unit: "{items}" };
    this.#meter.observableGauge(`signalbox_ledger_${kind}_items`, { ...labels, side, entry }, description, read);
  }
}
