import type { EarlySignals } from "./early-signals.ts";
import type { GatewayOutputs } from "./gateway-outputs.ts";

/** What a command gets of the process, so that tests run it without one. */
export interface CliIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTty: boolean;
  /** Where the process waits for signals already: `run` takes over. */
  readonly earlySignals?: EarlySignals;
  /** What stands behind `stdout` and `stderr` of `run`, which tells its log when one of them fails. */
  readonly outputs?: Pick<GatewayOutputs, "listen">;
}

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
/** The command line or the configuration is wrong; nothing was started. */
export const EXIT_USAGE = 2;
