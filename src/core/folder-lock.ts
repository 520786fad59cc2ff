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

/** An empty database; what it says is in the operating system's locks on it. */
export const LOCK_NAME = "lock.sqlite";

/** Beside the lock: who has it; stays behind where a process did not end in order. */
export const OWNER_NAME = "owner.json";

/** https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

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
    const ownerPath = join(directory, OWNER_NAME);
    const lockPath = join(directory, LOCK_NAME);
    let database: DatabaseSync;
    try {
      database = lock(lockPath);
    } catch (error) {
      const code = codeOf(error);
      if (code === SQLITE_BUSY) throw new FolderLockedError(directory, describeOwner(ownerPath), error);
      if (code !== SQLITE_NOTADB && code !== SQLITE_CORRUPT) throw error;
      // Nothing is in it but the lock, and a file that SQLite cannot read is locked by nobody.
      rmSync(lockPath);
      database = lock(lockPath);
    }
    noteOwner(ownerPath, JSON.stringify({ pid: owner.pid, since: new Date(owner.sinceMs).toISOString() }));
    return new FolderLock(database, ownerPath);
  }

  release(): void {
    rmSync(this.#ownerPath, { force: true });
    this.#database.close();
  }
}

function lock(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The primary one: extended codes have it in their lowest byte. */
function codeOf(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error ? Number(error.errcode) % 256 : undefined;
}

/** A full disk has no room for it, and must not keep the one away that would make room. */
function noteOwner(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT")))
      throw error;
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
