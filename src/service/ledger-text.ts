import type { LedgerSnapshot } from "../queue/ledger.ts";

/** The ledger as it is printed at the end: what came, and what became of it, in items. Rows without any item are left out. */
export function formatLedger(ledger: LedgerSnapshot): string {
  const receivers = ledger.receivers.map((line) => ({
    ...line,
    name: `receivers.${line.receiver} ${line.transport} ${line.signal}`,
  }));
  const pipelines = ledger.pipelines.map((line) => ({ ...line, name: `pipelines.${line.pipeline}` }));
  const destinations = ledger.destinations.map((line) => ({
    ...line,
    name: `exporters.${line.destination} ${line.signal}`,
  }));
  const rows = [...receivers, ...pipelines, ...destinations].flatMap(({ name, ...line }) => {
    const counts = countsOf(line);
    return counts === "" ? [] : [`  ${name}: ${counts}`];
  });
  return ["ledger, in items", ...(rows.length === 0 ? ["  nothing came in"] : rows), ""].join("\n");
}

function countsOf(line: object): string {
  return Object.entries(line)
    .flatMap(([key, value]: [string, unknown]) => {
      if (typeof value === "number") return value === 0 ? [] : [`${key} ${value}`];
      // A count by rule: `dropped{worker_filter} 3`.
      if (typeof value !== "object" || value === null) return [];
      return Object.entries(value).flatMap(([rule, count]) => (count === 0 ? [] : [`${key}{${rule}} ${count}`]));
    })
    .join(", ");
}
