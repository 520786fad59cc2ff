import { SegmentLog } from "../../src/queue/segment-log/segment-log.ts";
import { MemoryStorage } from "../../src/queue/memory-storage.ts";
import { LogStorage } from "../queue/log-storage.ts";
import { MemoryDisk } from "../queue/segment-log/memory-disk.ts";
import { RecordingLogger } from "../queue/support.ts";
import { TestClock } from "../support/test-clock.ts";
import { describeAdmission } from "./admission-contract.ts";

describeAdmission("memory", () => new MemoryStorage());
describeAdmission("a log", () => new LogStorage());
describeAdmission("a log that writes completions late", () => new LogStorage(50));
describeAdmission("the segment log", () => {
  const settings = { clock: new TestClock(), logger: new RecordingLogger() };
  return new SegmentLog({ folder: "/queue", disk: new MemoryDisk(), ...settings });
});
