/**
 * Numbers and times as Go prints them, so that what people compare line by line with a Collector's output is equal.
 */

/** Go's time.Time.String() in UTC: `2023-11-14 22:13:20.5 +0000 UTC`. */
export function formatTime(unixNano: string): string {
  const nanos = BigInt(unixNano);
  const seconds = nanos / 1_000_000_000n;
  const fraction = (nanos % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const [date, time] = new Date(Number(seconds) * 1000).toISOString().slice(0, 19).split("T");
  return `${date} ${time}${fraction === "" ? "" : `.${fraction}`} +0000 UTC`;
}

/** `%f`: six digits behind the point, never an exponent. */
export function formatFixed(value: number): string {
  if (!Number.isFinite(value)) return formatNonFinite(value);
  // toFixed switches to an exponent at 1e21, where a double has no fraction any more.
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

/** `%v`: the shortest digits that read back the same; an exponent of two digits below 1e-4 and from 1e21 on. */
export function formatGeneral(value: number): string {
  if (!Number.isFinite(value)) return formatNonFinite(value);
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e21) ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

function formatNonFinite(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}
