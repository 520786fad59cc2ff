import { existsSync, readdirSync } from "node:fs";
import { systemClock } from "../core/clock.ts";
import { FolderLock, FolderLockedError } from "../core/folder-lock.ts";
import { AdminRefusal } from "./admin-client.ts";

/** The lock of a queue's folder. A folder that is none of ours gets no lock file of ours either. */
export function lockFolder(folder: string): Disposable {
  const isQueue = existsSync(folder) && readdirSync(folder).some((name) => /^segment-\d+\.log$/.test(name));
  if (!isQueue) {
    throw new AdminRefusal(
      `there is no queue in the folder ${folder}\n  name the folder of a file_storage with --storage, or its configuration with --config`,
    );
  }
  try {
    const lock = FolderLock.acquire(folder, { pid: process.pid, sinceMs: systemClock.nowMs() });
    return { [Symbol.dispose]: () => lock.release() };
  } catch (error) {
    if (!(error instanceof FolderLockedError)) throw error;
    const fix =
      "it is starting, stopping, or its admin socket could not be opened (see its log): try again in a moment";
    throw new AdminRefusal(`${error.message}, and it does not answer\n  ${fix}`, { cause: error });
  }
}
