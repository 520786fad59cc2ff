/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html) that mean something to the store. */
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** node:sqlite puts the (extended) result code into `errcode`; undefined for errors that are not SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}

export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** No room, a folder that is gone or forbidden, a disk that fails: passes when a person mends it. */
export function isDiskTrouble(error: unknown): boolean {
  const code = sqliteCode(error);
  if (code !== undefined) return code === SQLITE_FULL || code === SQLITE_IOERR || code === SQLITE_CANTOPEN;
  // Node names the system call in every error of the file system.
  return error instanceof Error && "syscall" in error;
}
