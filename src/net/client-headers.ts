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

/** The peer's address as a person writes it: an IPv4 client of a socket that listens on `::` shows as `::ffff:10.0.0.1`. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
