import { ConsumeError } from "../../core/errors.ts";
import { ForeignFileError } from "./torn-tail.ts";

/** What to do about an error of the file system, by its code. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: make room, or bound the files with rotation.max_megabytes and max_backups",
  EDQUOT: "the quota of the disk is used up: make room, or raise it",
  EACCES: "the gateway may not write there: change the permissions, or the path",
  EPERM: "the gateway may not write there: change the permissions, or the path",
  EROFS: "the disk is mounted read-only: write elsewhere",
  ENOENT: "the folder does not exist: make it, or set create_directory: true",
  ENOTDIR: "a part of the path is a file: change the path",
  EISDIR: "the path is a folder: add a file name",
  EMFILE: "too many files are open: lower group_by.max_open_files, or raise the process's limit",
  ENAMETOOLONG: "the path is too long: change it, or the attribute of group_by",
  EIO: "the disk fails",
};

export function describeFileError(error: unknown, path: string): string {
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof ForeignFileError) return `${path}: ${reason}; name another file`;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const advice = ADVICE[code];
  return `${path}: not written: ${reason}${advice === undefined ? "" : `; ${advice}`}`;
}

/** Always retryable: every one of them can be mended while the batch waits in the queue. */
export function errorFromFile(error: unknown, path: string): ConsumeError {
  return new ConsumeError("retryable", describeFileError(error, path), { cause: error });
}
