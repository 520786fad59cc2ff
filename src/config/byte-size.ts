/** Sizes as people write them: `64MiB`, `1GB`, `512KiB`, `1.5GiB`, or a plain number of bytes. */
const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["B", 1],
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
  ["TiB", 2 ** 40],
  ["kB", 1e3],
  ["KB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
]);

const SIZE = /^(\d{1,16}(?:\.\d{1,6})?)\s?([A-Za-z]{0,3})$/;

/** Bytes, or undefined where the text is no size, or one that is not a whole number of bytes. */
export function parseByteSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  const unit = match === null ? undefined : UNIT_BYTES.get(match[2]!);
  if (match === null || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The largest binary unit that divides it, else plain bytes: `64MiB`, `1000B`. Reading it back gives the same number. */
export function formatByteSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    const size = UNIT_BYTES.get(unit)!;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}
