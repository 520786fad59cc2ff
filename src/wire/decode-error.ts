/**
 * Bytes or text from outside that are not what the protocol says. The sender's fault, so a door answers 400 or
 * INVALID_ARGUMENT with this message; it never means that the gateway is broken.
 */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  /** Which field, in JSON names: `resourceLogs[0].scopeLogs[1].logRecords[3].timeUnixNano`. "" for the whole input. */
  readonly path: string;
  /** In bytes from the input's start; undefined where the problem is no one place. */
  readonly offset: number | undefined;

  /** `problem` says what was found and what was expected: `length 9182 runs past the end (offset 214, 1020 bytes left)`. */
  constructor(path: string, problem: string, offset?: number) {
    super(path === "" ? problem : `${path}: ${problem}`);
    this.path = path;
    this.offset = offset;
  }
}
