import { OWNER_NAME } from "../../core/folder-lock.ts";
import { CLOSED_NAME } from "./closed-file.ts";
import { RECENT_NAME } from "./recent-file.ts";
import { RESERVE_NAME } from "./reserve.ts";
import { segmentNumber } from "./segment-files.ts";

const LOG_NAMES: ReadonlySet<string> = new Set([CLOSED_NAME, RECENT_NAME]);

/** What is ours beside the log: the lock's, the admin socket of a gateway that was killed, what was set aside. */
const NAMES_BESIDE: ReadonlySet<string> = new Set([
  RESERVE_NAME,
  `${CLOSED_NAME}.new`,
  "lock.sqlite",
  OWNER_NAME,
  "admin.sock",
  "damaged",
]);

/** Whether a file of this name says anything of what the queues hold. */
export function isLogFile(name: string): boolean {
  return segmentNumber(name) !== undefined || LOG_NAMES.has(name);
}

export function isBesideLog(name: string): boolean {
  return NAMES_BESIDE.has(name);
}
