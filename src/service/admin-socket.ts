import { resolve } from "node:path";
import type { Configuration } from "../config/configuration.ts";
import type { FileStorageConfig } from "../extensions/file_storage/config.ts";
import { storageOf } from "./storages.ts";

/** The folder of the queue's storage; undefined where the queues are in memory. The gateway and the command line ask here. */
export function storageFolderOf(configuration: Configuration): string | undefined {
  const extension = configuration.extensions.get(storageOf(configuration) ?? "");
  if (extension === undefined) return undefined;
  return resolve((extension.config as FileStorageConfig).directory);
}

/** Beside what it is about: whoever may read the queue may ask the gateway about it. */
export const ADMIN_SOCKET_NAME = "admin.sock";
