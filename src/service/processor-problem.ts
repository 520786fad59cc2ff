import { extname } from "node:path";
import { formatProblems, type Problem } from "../config/problem.ts";
import { FILE_BYTES_MAX, TRIAL_MS_MAX } from "./processor-trial.ts";

/** Something in a user's folder or file that a person has to mend. */
export interface ProcessorProblem {
  /** Relative to the working directory where it lies below it, else absolute. */
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  readonly fix: string;
}

/** What is wrong, of a file that the caller knows. */
export type ProcessorFault = Omit<ProcessorProblem, "file">;

export function asProblem({ file, line = 1, column = 1, message, fix }: ProcessorProblem): Problem {
  const isFile = extname(file) !== "";
  return { position: { file, line, column }, path: isFile ? "" : "processors", message, fix };
}

const INTO_START = "into start() of the object that create returns";

/** Of a top level that does not come back. */
export const TOP_LEVEL_FAULTS = {
  hangs: {
    message: `does not come back from its top level within ${TRIAL_MS_MAX / 1000} s: a loop that never ends?`,
    fix: `move long work ${INTO_START}, and await within it`,
  },
  waits: {
    message: `waits at its top level for more than ${TRIAL_MS_MAX / 1000} s`,
    fix: `move what waits ${INTO_START}`,
  },
  "never settles": {
    message: "waits at its top level for what can never come: nothing is left in the process that could end the wait",
    fix: `await what ends, or move the wait ${INTO_START}`,
  },
  "too large": {
    message: `takes more than ${FILE_BYTES_MAX / 1024 / 1024} MiB at its top level: a loop that allocates without end?`,
    fix: `end the loop; move the loading of a large table ${INTO_START}`,
  },
} as const satisfies Record<string, ProcessorFault>;

/** As `signalbox validate` prints it. */
export function formatFault(file: string, fault: ProcessorFault): string {
  return `${formatProblems([asProblem({ file, ...fault })])}\n`;
}
