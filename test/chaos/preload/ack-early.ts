/** The gateway as it would be with its acknowledgement before the commit: the harness must find what it loses. */
import { QueueAdmission } from "../../../src/queue/admission.ts";
import { installFaultyDisk } from "./faulty-disk.ts";

installFaultyDisk(import.meta.url, { isSyncing: true });

const commit = Object.getOwnPropertyDescriptor(QueueAdmission.prototype, "commit")?.value as () => Promise<void>;

QueueAdmission.prototype.commit = function (this: QueueAdmission): Promise<void> {
  // Nobody hears of the failure any more: the sender has been told that all is well.
  commit.call(this).catch(() => undefined);
  return Promise.resolve();
};
