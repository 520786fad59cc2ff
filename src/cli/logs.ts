import { parseSpanMs } from "../store/time-range.ts";
import { LIMIT_DEFAULT, LIMIT_MAX } from "../store/api-routes.ts";
import type { LogJson } from "../store/record-json.ts";
import { isKnownKey } from "../store/spellings.ts";
import { EXIT_FAILED, EXIT_OK } from "./io.ts";
import type { CliIo } from "./io.ts";
import { writeLines } from "./record-view.ts";
import type { StoreClient } from "./store-client.ts";
import { runStoreCommand } from "./store-command.ts";
import { LINES_MAX, UsageError } from "./store-options.ts";
import type { StoreOptions } from "./store-options.ts";
import { createPaint, readColumns, visibleJson, visibleText } from "./terminal-text.ts";

const USAGE = `signalbox logs QUERY [--since 1h] [--until 10m] [--limit N] [--json]
  QUERY          key:value, key:"a b", key:pre*, level>=warn, words, "words together"; all must hold
  --since        a span before now (15m, 1h30m, 2d), or a time (2026-11-24T13:50:00Z)
  --limit N      the newest N; default ${LIMIT_DEFAULT}`;

/** `signalbox logs`: the newest that match, oldest of them first, so that the last line is the latest. */
export function runLogsCommand(args: readonly string[], io: CliIo): Promise<number> {
  return runStoreCommand(
    { name: "logs", usage: USAGE, ownOptions: ["since", "until", "limit"], run: showLogs },
    args,
    io,
  );
}

async function showLogs(client: StoreClient, options: StoreOptions, io: CliIo): Promise<number> {
  const limit = readLimit(options.own["limit"]);
  const range = { ...readTime("from", options.own["since"]), ...readTime("to", options.own["until"]) };
  const { records, isMore, hints } = await readPages(client, { q: joinQuery(options.words), ...range }, limit);
  const oldestFirst = records.toReversed();
  const view = { columns: readColumns(io.env), isFull: options.isFull, paint: createPaint(io.isTty, io.env) };
  const lines = options.isJson ? oldestFirst.map((record) => visibleJson(record)) : writeLines(oldestFirst, view);
  for (const line of lines) io.stdout(`${line}\n`);
  if (records.length === 0) io.stderr(["no log records match", ...hints.map(visibleText)].join("\n  ") + "\n");
  else if (isMore) io.stderr(`there are more; these are the newest ${records.length} (--limit)\n`);
  return records.length === 0 ? EXIT_FAILED : EXIT_OK;
}

interface Page {
  readonly records: readonly LogJson[];
  readonly next: string | null;
  /** Why nothing matches. */
  readonly hints?: readonly string[];
}

async function readPages(
  client: StoreClient,
  params: Readonly<Record<string, string>>,
  limit: number,
): Promise<{ records: LogJson[]; isMore: boolean; hints: readonly string[] }> {
  const records: LogJson[] = [];
  let hints: readonly string[] = [];
  let cursor: string | null = "";
  while (cursor !== null && records.length < limit) {
    const count = Math.min(LIMIT_MAX, limit - records.length);
    const page: Page | undefined = await client.ask<Page>("/api/logs", { ...params, limit: String(count), cursor });
    records.push(...(page?.records ?? []));
    cursor = page?.next ?? null;
    hints = page?.hints ?? [];
  }
  return { records, isMore: cursor !== null, hints };
}

/** `1h` is a span before now; anything else is for the store to read. */
function readTime(name: "from" | "to", text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  return { [name]: parseSpanMs(text) === undefined ? text : `-${text}` };
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return LIMIT_DEFAULT;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= LINES_MAX) return limit;
  throw new UsageError(`--limit is "${text}"; write a number from 1 to ${LINES_MAX}`);
}

/**
 * The shell takes the quotes away: of `signalbox logs level:error "model load failed"` two words arrive. A word that
 * still holds blanks was quoted, so it is quoted again; a single word is the query as it was written.
 */
export function joinQuery(words: readonly string[]): string {
  if (words.length <= 1) return words[0] ?? "";
  return words.map(requote).join(" ");
}

function requote(word: string): string {
  if (!/\s/.test(word) || word.includes('"')) return word;
  const [key = "", name = "", operator = ""] = /^([A-Za-z_@][\w.@/-]*)([:=])(?=\S)/.exec(word) ?? [];
  if (operator === "=" && !isKnownKey(name)) return `"${word.replaceAll("\\", "\\\\")}"`;
  return `${key}"${word.slice(key.length).replaceAll("\\", "\\\\")}"`;
}
