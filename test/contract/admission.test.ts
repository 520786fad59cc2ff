import { MemoryStorage } from "../../src/queue/memory-storage.ts";
import { LogStorage } from "../queue/log-storage.ts";
import { describeAdmission } from "./admission-contract.ts";

describeAdmission("memory", () => new MemoryStorage());
describeAdmission("a log", () => new LogStorage());
describeAdmission("a log that writes completions late", () => new LogStorage(50));
