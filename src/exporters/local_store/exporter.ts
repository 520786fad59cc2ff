import { resolve } from "node:path";
import { formatEndpoint, parseEndpoint } from "../../config/types.ts";
import { formatComponentId } from "../../core/component-id.ts";
import type { Exporter, Host, Settings } from "../../core/component.ts";
import { ConsumeError } from "../../core/errors.ts";
import type { ConsumeErrorKind } from "../../core/errors.ts";
import { SENT_WHOLE } from "../../core/sender.ts";
import type { OutgoingRequest, SendResult } from "../../core/sender.ts";
import { ApiServer } from "../../store/api-server.ts";
import { Store } from "../../store/store.ts";
import { StoreError } from "../../store/store-error.ts";
import type { StoreErrorKind } from "../../store/store-error.ts";
import type { LocalStoreConfig } from "./config.ts";

/** Keeps what comes in the embedded store, and answers questions about it. */
export class LocalStoreExporter implements Exporter {
  readonly #settings: Settings;
  readonly #config: LocalStoreConfig;
  readonly #owner: string;
  #store: Store | undefined;
  #api: ApiServer | undefined;

  constructor(settings: Settings, config: LocalStoreConfig) {
    this.#settings = settings;
    this.#config = config;
    this.#owner = `exporters.${formatComponentId(settings.id)}`;
  }

  async start(host: Host): Promise<void> {
    const { directory, max_bytes, max_age } = this.#config;
    const { clock, logger } = this.#settings;
    try {
      this.#store = await Store.open({ directory, bytesMax: max_bytes, ageMsMax: max_age, clock, logger });
      const address = await this.#listen(this.#store);
      const detail = `data in ${resolve(directory)}`;
      host.reportListening({ id: this.#settings.id, what: "store API", address: `http://${address}`, detail });
    } catch (error) {
      await this.shutdown();
      throw error instanceof StoreError ? new Error(`${this.#owner}: ${error.message}`, { cause: error }) : error;
    }
  }

  /** Writes that were begun are finished; questions are not waited for beyond the one each reader works on. */
  async shutdown(): Promise<void> {
    const [api, store] = [this.#api, this.#store];
    this.#api = undefined;
    this.#store = undefined;
    // The store first: it answers the questions in flight, with an error where need be, and the door waits for these.
    const closing = api?.close();
    await store?.close();
    await closing;
  }

  async send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    if (this.#store === undefined) throw new ConsumeError("refused", `${this.#owner}: the store is not open`);
    if (signal.aborted) throw new ConsumeError("retryable", `${this.#owner}: no time was left to write`);
    try {
      await withAbort(this.#store.append(request.signal, request.payload), signal);
      return SENT_WHOLE;
    } catch (error) {
      throw toConsumeError(error, this.#owner);
    }
  }

  async #listen(store: Store): Promise<string> {
    const endpoint = parseEndpoint(this.#config.endpoint);
    if ("problem" in endpoint) throw new Error(`${this.#owner}.endpoint: ${endpoint.problem}`);
    const token = this.#config.token?.reveal();
    this.#api = new ApiServer({ endpoint, owner: this.#owner, token, ask: (path, search) => store.ask(path, search) });
    return formatEndpoint(await this.#api.listen());
  }
}

const KINDS: Readonly<Record<StoreErrorKind, ConsumeErrorKind>> = {
  locked: "retryable",
  disk: "retryable",
  bad_data: "permanent",
  over_budget: "retryable",
  busy: "retryable",
  closed: "retryable",
  broke: "retryable",
  internal: "internal",
};

function toConsumeError(error: unknown, owner: string): ConsumeError {
  if (!(error instanceof StoreError)) return ConsumeError.from(error, owner);
  return new ConsumeError(KINDS[error.kind], `${owner}: ${error.message}`, { cause: error });
}

/**
 * Gives up waiting, not writing: SQLite cannot be interrupted, so a write that ran into the timeout may still be
 * stored, and then stands twice after its retry. A store that is this slow is short of a disk.
 */
function withAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((settle, reject) => {
    const abort = (): void =>
      reject(
        new StoreError(
          "disk",
          "the write took longer than the timeout; its disk is slow, or the queue's batches are too large",
        ),
      );
    signal.addEventListener("abort", abort, { once: true });
    work.then(settle, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
