import { formatComponentId } from "../../core/component-id.ts";
import type { Settings } from "../../core/component.ts";
import type { Counter } from "../../core/meter.ts";
import type { ServerTlsObserver } from "../../net/server-tls.ts";

/** A scanner fails a handshake a second: this is how often the log says it. */
const WARNING_INTERVAL_MS = 60_000;

/** Says what became of the certificates of a door, and counts clients that could not get in. */
export class TlsWatch implements ServerTlsObserver {
  readonly #settings: Settings;
  readonly #protocol: string;
  readonly #failures: Counter;
  #warnedAtMs = Number.NEGATIVE_INFINITY;

  constructor(settings: Settings, protocol: "grpc" | "http") {
    const { id, meter } = settings;
    this.#settings = settings;
    this.#protocol = protocol;
    const labels = { receiver: formatComponentId(id), transport: protocol };
    this.#failures = meter.counter("signalbox_receiver_failed_handshakes", labels, {
      description: "TLS handshakes that failed: plain text, another version, no certificate of a known authority.",
      unit: "{connections}",
    });
  }

  onReload(): void {
    this.#settings.logger.info(`protocols.${this.#protocol}.tls: the files were read again; new connections use them`);
  }

  onReloadFailure(error: Error): void {
    const { logger } = this.#settings;
    logger.error(`protocols.${this.#protocol}.${error.message}\n  what was read before stays in use`);
  }

  onHandshakeFailure(address: string, reason: string): void {
    this.#failures.add(1);
    const { clock, logger } = this.#settings;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#warnedAtMs < WARNING_INTERVAL_MS) return;
    this.#warnedAtMs = nowMs;
    logger.warn(`a client's TLS handshake failed: ${reason}`, { address, transport: this.#protocol });
  }
}
