import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Another gateway, in this process or another, has the folder. `owner` is "process 123, since ...", or "" where unknown. */
export class FolderLockedError extends Error {
  override readonly name = "FolderLockedError";
  readonly owner: string;

  constructor(directory: string, owner: string, cause: unknown) {
    super(`${directory} is in use by another gateway${owner === "" ? "" : ` (${owner})`}`, { cause });
    this.owner = owner;
  }
}

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

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

  /** Throws FolderLockedError, or what the file system says. */
  static acquire(directory: string, owner: { readonly pid: number; readonly sinceMs: number }): FolderLock {
    const ownerPath = join(directory, "owner.json");
    const database = new DatabaseSync(join(directory, "lock.sqlite"), { timeout: 0 });
    try {
      database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    } catch (error) {
      database.close();
      const isBusy = error instanceof Error && "errcode" in error && Number(error.errcode) % 256 === SQLITE_BUSY;
      throw isBusy ? new FolderLockedError(directory, describeOwner(ownerPath), error) : error;
    }
    writeFileSync(ownerPath, JSON.stringify({ pid: owner.pid, since: new Date(owner.sinceMs).toISOString() }));
    return new FolderLock(database, ownerPath);
  }

  release(): void {
    rmSync(this.#ownerPath, { force: true });
    this.#database.close();
  }
}

function describeOwner(ownerPath: string): string {
  try {
    const owner: unknown = JSON.parse(readFileSync(ownerPath, "utf8"));
    if (typeof owner !== "object" || owner === null || !("pid" in owner) || !("since" in owner)) return "";
    return `process ${String(owner.pid)}, since ${String(owner.since)}`;
  } catch {
    // The other one is just starting and has not written it yet, or a person removed it: the message goes without.
    return "";
  }
}
