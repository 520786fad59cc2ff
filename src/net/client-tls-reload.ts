import type { Clock, Timer } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { ClientTlsConfig } from "./client-config.ts";
import { type ClientTls, loadClientTls } from "./client-tls.ts";

export interface TlsReloadSettings {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with what the files hold now, when it differs from before and can be used. */
  readonly onChange: (tls: ClientTls) => void;
}

/** Reads a client's certificates, and again every `reload_interval`. What cannot be used leaves what was there. */
export class ClientTlsReload {
  readonly #config: ClientTlsConfig;
  readonly #settings: TlsReloadSettings;
  #current = "";
  #timer: Timer | undefined;
  #isStopped = false;
  #isFailing = false;

  constructor(config: ClientTlsConfig, settings: TlsReloadSettings) {
    this.#config = config;
    this.#settings = settings;
  }

  /** Rejects as loadClientTls(). */
  async start(): Promise<ClientTls> {
    const tls = await loadClientTls(this.#config);
    this.#current = JSON.stringify(tls);
    this.#arm();
    return tls;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    const { reload_interval: intervalMs } = this.#config;
    if (intervalMs === undefined || this.#isStopped) return;
    this.#timer = this.#settings.clock.after(intervalMs, () => void this.#reload());
  }

  async #reload(): Promise<void> {
    try {
      const tls = await loadClientTls(this.#config);
      const read = JSON.stringify(tls);
      if (!this.#isStopped && read !== this.#current) {
        this.#settings.onChange(tls);
        this.#current = read;
        this.#settings.logger.info("tls: the certificates have changed; new connections use the new ones");
      }
      this.#isFailing = false;
    } catch (error) {
      // Once: a file that is missing is missing at each look.
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#isFailing)
        this.#settings.logger.error(`${reason}\n  until then the certificates from before are used`);
      this.#isFailing = true;
    }
    this.#arm();
  }
}
