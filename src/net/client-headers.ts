/** A sender's headers as they go on a batch's context. HTTP/2 allows far more than anyone needs; the rest is left out. */
const HEADER_COUNT_MAX = 128;
const HEADER_BYTES_MAX = 32 * 1024;

/** Lower-case names; pseudo headers (`:path`) are left out. Beyond the bounds later headers are left out, whole. */
export function boundedHeaders(
  headers: Iterable<readonly [string, string | readonly string[] | undefined]>,
): ReadonlyMap<string, readonly string[]> {
  const kept = new Map<string, readonly string[]>();
  let bytesLeft = HEADER_BYTES_MAX;
  for (const [name, value] of headers) {
    if (value === undefined || name.startsWith(":")) continue;
    const values = typeof value === "string" ? [value] : value;
    bytesLeft -= values.reduce((size, text) => size + text.length, name.length);
    if (bytesLeft < 0 || kept.size === HEADER_COUNT_MAX) break;
    kept.set(name.toLowerCase(), values);
  }
  return kept;
}

/**
 * From node's flat list of names and values; repeated ones are together, in the order of their first.
 * `isWanted` is asked of lower-case names.
 */
export function headerLists(
  raw: readonly string[],
  isWanted: (name: string) => boolean = anyHeader,
): [string, string[]][] {
  const headers: [string, string[]][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    if (!isWanted(name)) continue;
    // There are few, and node takes 128 over HTTP/2 and 2,000 over HTTP/1.1 at most: mostly a search costs less than a map.
    const found = headers.find(([other]) => other === name);
    if (found === undefined) headers.push([name, [raw[index + 1]!]]);
    else found[1].push(raw[index + 1]!);
  }
  return headers;
}

function anyHeader(): boolean {
  return true;
}

/** The peer's address as a person writes it: an IPv4 client of a socket that listens on `::` shows as `::ffff:10.0.0.1`. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
