import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { sqliteCode, SQLITE_BUSY } from "./sqlite-error.ts";
import { StoreError } from "./store-error.ts";

/**
 * One gateway a folder. The lock is SQLite's own on an empty database file: the operating system drops it when its
 * process ends, however it ends. A file with a process id would outlive a killed container, where the next gateway has
 * the same id again. owner.json is only for the message.
 */
export class FolderLock {
  readonly #database: DatabaseSync;
  readonly #ownerPath: string;

  private constructor(database: DatabaseSync, ownerPath: string) {
    this.#database = database;
    this.#ownerPath = ownerPath;
  }

  /** Throws StoreError "locked" where another gateway, in this process or another, has the folder. */
  static acquire(directory: string, owner: { readonly pid: number; readonly sinceMs: number }): FolderLock {
    const ownerPath = join(directory, "owner.json");
    const database = new DatabaseSync(join(directory, "lock.sqlite"), { timeout: 0 });
    try {
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    } catch (error) {
      database.close();
      if (sqliteCode(error) === SQLITE_BUSY) throw lockedError(directory, ownerPath, error);
      throw error;
    }
    writeFileSync(ownerPath, JSON.stringify({ pid: owner.pid, since: new Date(owner.sinceMs).toISOString() }));
    return new FolderLock(database, ownerPath);
  }

  release(): void {
    rmSync(this.#ownerPath, { force: true });
    this.#database.close();
  }
}

function lockedError(directory: string, ownerPath: string, cause: unknown): StoreError {
  return new StoreError(
    "locked",
    `the store in ${directory} is in use by another gateway${describeOwner(ownerPath)}\n` +
      "  stop that one, or give this one a folder of its own: exporters.local_store.directory",
    cause,
  );
}

function describeOwner(ownerPath: string): string {
  try {
    const owner: unknown = JSON.parse(readFileSync(ownerPath, "utf8"));
    if (typeof owner !== "object" || owner === null || !("pid" in owner) || !("since" in owner)) return "";
    return ` (process ${String(owner.pid)}, since ${String(owner.since)})`;
  } catch {
    // The other one is just starting and has not written it yet, or a person removed it: the message goes without.
    return "";
  }
}
