import type { Extension } from "../core/component.ts";
import type { QueueStorage } from "./storage.ts";

/** An extension that `sending_queue.storage` can name. */
export interface StorageProvider extends Extension {
  /**
   * Called once, before start, by the graph; reads nothing yet. `headerNames`: the senders' headers that partitions are
   * made by; no other header is ever written.
   */
  createStorage(settings: { readonly headerNames: readonly string[] }): QueueStorage;
}

export function isStorageProvider(extension: Extension): extension is StorageProvider {
  return "createStorage" in extension;
}
