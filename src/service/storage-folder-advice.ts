import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
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
    if (stats === undefined && isCreated) return creationProblemOf(folder);
    if (stats === undefined) return { message: "does not exist", fix: "create it, or write create_directory: true" };
    if (!stats.isDirectory()) return { message: "is a file", fix: "name a folder" };
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { message: `cannot be used (${reason})`, fix: "make it a folder that the gateway's user may write" };
  }
}

/** https://man7.org/linux/man-pages/man2/statfs.2.html: proc and sysfs have the folders that the kernel makes, and take no others. */
const NO_FOLDERS: ReadonlySet<number> = new Set([0x9fa0, 0x62656572]);

/** Nothing is made to find out: a check leaves no traces. Throws where the nearest folder that is there may not be written. */
function creationProblemOf(folder: string): { message: string; fix: string } | undefined {
  let parent = dirname(resolve(folder));
  while (statSync(parent, { throwIfNoEntry: false }) === undefined && parent !== dirname(parent)) {
    parent = dirname(parent);
  }
  if (NO_FOLDERS.has(statfsSync(parent).type)) {
    return { message: `cannot be created: ${parent} takes no folders`, fix: "name a folder on a disk" };
  }
  if (!statSync(parent).isDirectory())
    return { message: `cannot be created: ${parent} is a file`, fix: "name a folder" };
  accessSync(parent, constants.W_OK | constants.X_OK);
  return undefined;
}
