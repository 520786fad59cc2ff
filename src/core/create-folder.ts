import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Creates what is missing of a path, and says whether that was anything. Throws what the file system says.
 *
 * Folder by folder, because mkdir's own `recursive` tries forever where the file system says ENOENT to a folder whose
 * parent is there, as /proc does.
 */
export function createFolder(directory: string, mode: number): boolean {
  const missing: string[] = [];
  let path = resolve(directory);
  while (statSync(path, { throwIfNoEntry: false }) === undefined && path !== dirname(path)) {
    missing.unshift(path);
    path = dirname(path);
  }
  for (const folder of missing) createOne(folder, mode);
  return missing.length > 0;
}

function createOne(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Somebody was quicker.
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}
