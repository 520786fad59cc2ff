import type { ConsumeError } from "../core/errors.ts";
import type { Counter, Labels, Meter } from "../core/meter.ts";
import { ITEM_NAMES, ITEM_UNITS, ITEM_WORDS } from "../core/signal.ts";
import type { Signal } from "../core/signal.ts";
import type { LedgerMetric } from "./ledger-accounts.ts";

/**
 * `otelcol_exporter_sent_*` and `otelcol_exporter_send_failed_*` of one exporter and signal. Their labels have the address
 * that is sent to, as the Collector's have, and a reload may change it: what is counted from then on stands under the new one.
 */
export class ExporterMetrics {
  readonly sent: LedgerMetric;
  /** At level detailed failures of each kind are a series of their own. */
  readonly failed: LedgerMetric;
  readonly #meter: Meter;
  readonly #signal: Signal;
  #labels: Labels;
  #sent: Counter | undefined;
  #failed: Counter | undefined;

  constructor(meter: Meter, exporter: string, signal: Signal) {
    this.#meter = meter;
    this.#signal = signal;
    this.#labels = { exporter };
    this.sent = { add: (items) => (this.#sent ??= this.#createSent()).add(items) };
    this.failed = meter.shows("detailed")
      ? { add: (items, error) => this.#createFailed(errorLabels(error)).add(items) }
      : { add: (items) => (this.#failed ??= this.#createFailed({})).add(items) };
  }

  /** From now on. The series are there at once, so that an alert has a 0 to begin with. */
  address(labels: Labels): void {
    this.#labels = { exporter: this.#labels["exporter"]!, ...labels };
    this.#sent = this.#createSent();
    this.#failed = this.#meter.shows("detailed") ? undefined : this.#createFailed({});
  }

  #createSent(): Counter {
    const description = `Number of ${ITEM_WORDS[this.#signal]} successfully sent to destination.`;
    const name = `otelcol_exporter_sent_${ITEM_NAMES[this.#signal]}`;
    return this.#meter.counter(name, this.#labels, { description, unit: ITEM_UNITS[this.#signal] });
  }

  #createFailed(more: Labels): Counter {
    const name = `otelcol_exporter_send_failed_${ITEM_NAMES[this.#signal]}`;
    const description = `Number of ${ITEM_WORDS[this.#signal]} in failed attempts to send to destination.`;
    return this.#meter.counter(name, { ...this.#labels, ...more }, { description, unit: ITEM_UNITS[this.#signal] });
  }
}

function errorLabels(error: ConsumeError | undefined): Labels {
  return { "error.type": error?.kind ?? "_OTHER", "error.permanent": String(error?.isRetryable !== true) };
}
