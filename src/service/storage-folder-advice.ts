import { accessSync, constants, statSync } from "node:fs";
import type { Configuration } from "../config/configuration.ts";
import type { Problem } from "../config/problem.ts";
import type { FileStorageConfig } from "../extensions/file_storage/config.ts";
import { storageFolderOf } from "./admin-socket.ts";
import { storageOf } from "./storages.ts";

/**
 * What is wrong with the queues' folder on this machine, as the start would find it. A warning, since a configuration may
 * be checked on another machine, or as another user, than it runs.
 */
export function storageFolderWarnings(configuration: Configuration): Problem[] {
  const id = storageOf(configuration);
  const extension = configuration.extensions.get(id ?? "");
  const folder = storageFolderOf(configuration);
  if (id === undefined || extension === undefined || folder === undefined) return [];
  const { create_directory: isCreated } = extension.config as FileStorageConfig;
  const problem = problemOf(folder, isCreated);
  if (problem === undefined) return [];
  const message = `the folder ${folder} ${problem.message}: here the gateway would not start`;
  const position = extension.positionOf(["directory"]);
  return [{ position, path: `extensions.${id}.directory`, message, fix: problem.fix }];
}

function problemOf(folder: string, isCreated: boolean): { message: string; fix: string } | undefined {
  try {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined) {
      return isCreated ? undefined : { message: "does not exist", fix: "create it, or write create_directory: true" };
    }
    if (!stats.isDirectory()) return { message: "is a file", fix: "name a folder" };
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { message: `cannot be used (${reason})`, fix: "make it a folder that the gateway's user may write" };
  }
}
