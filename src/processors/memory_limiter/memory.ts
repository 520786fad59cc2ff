import { totalmem } from "node:os";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What the limiter asks of the process; tests put numbers in its place. */
export interface ProcessMemory {
  /** Bytes that count against the limit. */
  usedBytes(): number;
  /** Bytes this process may use. */
  totalBytes(): number;
  /** Collects garbage now, blocking: tens of milliseconds on a large heap. */
  collectGarbage(): void;
}

/**
 * V8's heap and everything outside it that V8 knows of: buffers live there, and a gateway is mostly buffers.
 * Not the resident set: it keeps pages that V8 has freed and would hold a gateway back long after a burst.
 */
export const processMemory: ProcessMemory = {
  usedBytes: () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
  totalBytes: () => {
    // 0 or the machine's full address space means that no container limit is set.
    const constrained = process.constrainedMemory();
    return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
  },
  collectGarbage: () => exposedGc()(),
};

let gc: (() => void) | undefined;

/** V8 keeps gc() hidden unless asked at start; the flag can be set late, and a new context then has it. */
function exposedGc(): () => void {
  if (gc === undefined) {
    setFlagsFromString("--expose-gc");
    gc = runInNewContext("gc") as () => void;
    setFlagsFromString("--no-expose-gc");
  }
  return gc;
}
