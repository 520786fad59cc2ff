/**
 * The path of the value at an offset of a JSON text: `resourceLogs[0].scopeLogs[1].logRecords[3].timeUnixNano`.
 *
 * Decoding keeps no path, because almost no request needs one: an error walks the text once more up to its offset.
 * The text before the offset has been read as JSON already, so the walk trusts it.
 */
export function jsonPathAt(bytes: Uint8Array, offset: number): string {
  /** Per open container: the index of the element in an array, the name of the member in an object. */
  const steps: (number | string)[] = [];
  let at = 0;
  let expectsName = false;
  while (at < offset) {
    const byte = bytes[at]!;
    if (byte === 0x22) {
      const end = stringEnd(bytes, at + 1);
      // An offset within a name belongs to the object, not to the member before it.
      if (expectsName) steps[steps.length - 1] = end < offset ? memberName(bytes, at + 1, end) : "";
      if (expectsName) expectsName = false;
      at = end + 1;
      continue;
    }
    if (byte === 0x7b || byte === 0x5b) {
      steps.push(byte === 0x7b ? "" : 0);
      expectsName = byte === 0x7b;
    } else if (byte === 0x7d || byte === 0x5d) {
      steps.pop();
      expectsName = false;
    } else if (byte === 0x2c) {
      const top = steps.at(-1);
      expectsName = typeof top === "string";
      if (steps.length > 0) steps[steps.length - 1] = typeof top === "number" ? top + 1 : "";
    }
    at++;
  }
  return formatPath(steps);
}

function formatPath(steps: readonly (number | string)[]): string {
  let path = "";
  for (const step of steps) {
    if (typeof step === "number") path += `[${step}]`;
    else if (step !== "") path += path === "" ? step : `.${step}`;
  }
  return path;
}

/** The offset of the closing quote, or the end of the text. */
function stringEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1;
  return Math.min(at, bytes.length);
}

/** An unknown member may have any name; a path shows the beginning of a long one. */
const NAME_LENGTH_MAX = 64;

function memberName(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, Math.min(end, start + NAME_LENGTH_MAX))).toString("utf8");
}
