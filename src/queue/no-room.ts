/**
 * Why a storage did not take a group: there is no room for it, though there may be for a smaller one. By the name of the
 * system's error (https://man7.org/linux/man-pages/man3/errno.3.html), or a bound of our own.
 */
export class NoRoomError extends Error {
  override readonly name = "NoRoomError";
}

const NO_ROOM: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

export function isNoRoom(error: unknown): boolean {
  return error instanceof NoRoomError || NO_ROOM.has(codeOf(error));
}

/** No file may be as large, a new one neither (`ulimit -f`): waiting does not change it. */
export function isFileTooLarge(error: unknown): boolean {
  return codeOf(error) === "EFBIG";
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
