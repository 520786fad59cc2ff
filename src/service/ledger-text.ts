import type { LedgerSnapshot } from "../queue/ledger.ts";
import type { LedgerReport } from "./ledger-report.ts";

/** One account: its name, and each entry's items. A count by rule is an entry of its own: `dropped{worker_filter}`. */
interface Row {
  readonly name: string;
  readonly items: ReadonlyMap<string, number>;
}

interface Account {
  readonly title: "receivers" | "pipelines" | "exporters" | "dead_letters";
  readonly rows: readonly Row[];
}

/** The ledger as it is printed at the end: what came, and what became of it, in items. Rows without any item are left out. */
export function formatLedger(ledger: LedgerSnapshot): string {
  const lines = accountsOf(ledger).flatMap(({ title, rows }) =>
    rows.flatMap(({ name, items }) => {
      const counts = [...items].filter(([, count]) => count !== 0).map(([entry, count]) => `${entry} ${count}`);
      return counts.length === 0 ? [] : [`  ${title}.${name}: ${counts.join(", ")}`];
    }),
  );
  const unread = unreadLines(ledger);
  const nothing = unread.length === 0 ? ["  nothing came in"] : ["  nothing was read"];
  return ["ledger, in items", ...(lines.length === 0 ? nothing : lines), ...unread, ""].join("\n");
}

/**
 * What doors refused before anybody knew how many items it held, in requests:
 *
 *   refused unread
 *     receivers.otlp grpc: 12 requests, 34567 bytes declared: bytes_in_flight 3, memory 9
 */
function unreadLines({ unread }: LedgerSnapshot): string[] {
  const refused = unread.filter(({ requests }) => requests > 0);
  const byDoor = Map.groupBy(refused, ({ receiver, transport }) => `  receivers.${receiver} ${transport}`);
  const lines = [...byDoor].map(([door, reasons]) => {
    const requests = reasons.reduce((sum, line) => sum + line.requests, 0);
    const bytes = reasons.reduce((sum, line) => sum + line.bytes, 0);
    const why = reasons.map((line) => `${line.reason} ${line.requests}`).toSorted();
    return `${door}: ${requests} ${requests === 1 ? "request" : "requests"}, ${bytes} bytes declared: ${why.join(", ")}`;
  });
  return lines.length === 0 ? [] : ["refused unread", ...lines];
}

/** The tables that a person reads; `folder` is where the storage lies. */
export function formatLedgerReport(report: LedgerReport, ledger: LedgerSnapshot, folder: string): string {
  const scope = ledger === report.run ? "since it started" : `over all runs with ${folder}`;
  const whose = report.pid === undefined ? "no gateway runs; the ledger" : `the ledger of process ${report.pid}`;
  const tables = accountsOf(ledger).flatMap(({ title, rows }) => (rows.length === 0 ? [] : [formatTable(title, rows)]));
  const verdict = report.imbalances.length === 0 ? "every equation holds" : report.imbalances.join("\n");
  const unread = unreadLines(ledger);
  const came = [...tables, ...(unread.length === 0 ? [] : [unread.join("\n")])];
  const parts = [`${whose}, in items, ${scope}`, ...(came.length === 0 ? ["nothing came in"] : came), verdict];
  return `${parts.join("\n\n")}\n`;
}

function accountsOf({ receivers, pipelines, destinations, dead_letters: letters }: LedgerSnapshot): Account[] {
  return [
    {
      title: "receivers",
      rows: receivers.map(({ receiver, transport, signal, ...counts }) =>
        rowOf(`${receiver} ${transport} ${signal}`, counts),
      ),
    },
    { title: "pipelines", rows: pipelines.map(({ pipeline, ...counts }) => rowOf(pipeline, counts)) },
    {
      title: "exporters",
      rows: destinations.map(({ destination, signal, ...counts }) => rowOf(`${destination} ${signal}`, counts)),
    },
    {
      title: "dead_letters",
      rows: letters.map(({ destination, signal, ...counts }) => rowOf(`${destination} ${signal}`, counts)),
    },
  ];
}

function rowOf(name: string, counts: object): Row {
  const items = new Map<string, number>();
  for (const [key, value] of Object.entries(counts) as [string, number | Record<string, number>][]) {
    if (typeof value === "number") items.set(key, value);
    else for (const [rule, count] of Object.entries(value)) items.set(`${key}{${rule}}`, count);
  }
  return { name, items };
}

/** Columns in which nothing stands are left out: an account has a dozen, of which three or four matter. */
function formatTable(title: string, rows: readonly Row[]): string {
  const entries = [...new Set(rows.flatMap(({ items }) => [...items.keys()]))];
  const shown = entries.filter((entry) => rows.some(({ items }) => (items.get(entry) ?? 0) !== 0));
  const cells = rows.map(({ name, items }) => [name, ...shown.map((entry) => String(items.get(entry) ?? 0))]);
  const table = [[title, ...shown], ...cells];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const formatRow = (row: readonly string[]): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  ");
  return table.map((row) => formatRow(row).trimEnd()).join("\n");
}
