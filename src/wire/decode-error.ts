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

  /**
   * `problem` says what was found and what was expected: `length 9182 runs past the end (offset 214, 1020 bytes left)`.
   * With `format`, the message begins with it and spells the path as the .proto files do: `otlp logs: resource_logs[0]: ...`.
   */
  constructor(path: string, problem: string, offset?: number, format?: string) {
    const place = format === undefined ? path : `${format}${path === "" ? "" : `: ${toSnakeCase(path)}`}`;
    super(place === "" ? problem : `${place}: ${problem}`);
    this.path = path;
    this.offset = offset;
  }
}

function toSnakeCase(path: string): string {
  return path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
