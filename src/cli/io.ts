/** What a command gets of the process, so that tests run it without one. */
export interface CliIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTty: boolean;
}

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
/** The command line or the configuration is wrong; nothing was started. */
export const EXIT_USAGE = 2;
