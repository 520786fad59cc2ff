import { resolve } from "node:path";
import type { LetterSummary } from "../queue/dead-letter-desk.ts";
import { DEAD_LETTER_FILTER_KEYS } from "../queue/dead-letter-filter.ts";
import type { ReplayReport } from "../queue/dead-letters.ts";
import { storageFolderOf } from "../service/admin-socket.ts";
import { askDeadLetters } from "./dead-letter-client.ts";
import { GATEWAY_USAGE, readGatewayArgs } from "./gateway-args.ts";
import { type CliIo, EXIT_FAILED, EXIT_OK } from "./io.ts";
import { loadAndReport } from "./load-command.ts";
import { parseOptions } from "./parse-options.ts";
import { runQueueCommand, WrongUsage } from "./queue-command.ts";
import { cutText, readColumns, visibleJson, visibleText } from "./terminal-text.ts";

export const DEAD_LETTERS_USAGE = `  list               what a destination did not get: when, whose, how much, why
  show ID            one of them, as OTLP JSON
  export             all, as OTLP JSON lines, each with its reason, time, destination and attempts under "signalbox"
  replay             back into the queue of its destination; of a stopped gateway: at its next start
  drop               for good; needs a filter

  --filter KEY=VALUE repeatable, all must hold; the keys are ${DEAD_LETTER_FILTER_KEYS.join(", ")}
                     since=6h, until=2026-11-24T13:50:00Z: when it became a dead letter
  --storage DIR      the folder of the queues, instead of the one that the configuration names
  --json             list, replay, drop: as JSON
${GATEWAY_USAGE}`;

interface Question {
  readonly folder: string;
  readonly filter: readonly string[];
  readonly isJson: boolean;
  readonly ids: readonly string[];
}

/** `signalbox deadletters`: of the gateway that has the folder; where none runs, in the folder itself. */
export function runDeadLettersCommand(args: string[], io: CliIo): Promise<number> {
  return runQueueCommand(
    { name: "deadletters", actions: { list, show, export: exportAll, replay, drop }, read: readQuestion },
    args,
    io,
  );
}

const MANY = { type: "string", multiple: true } as const;

async function readQuestion(args: string[], io: CliIo): Promise<Question | number> {
  const { values, positionals: ids } = parse(args);
  const { filter = [], storage, json: isJson = false, config = [], set = [], processors = [] } = values;
  if (storage !== undefined) return { folder: resolve(storage), filter, isJson, ids };
  const named = { config, set, processors };
  const gatewayOptions = Object.entries(named).flatMap(([name, all]) => all.flatMap((value) => [`--${name}`, value]));
  const gatewayArgs = readGatewayArgs("deadletters", gatewayOptions, io);
  if (typeof gatewayArgs === "number") return gatewayArgs;
  const loaded = await loadAndReport(gatewayArgs, io);
  if (typeof loaded === "number") return loaded;
  const folder = storageFolderOf(loaded.configuration);
  if (folder !== undefined) return { folder, filter, isJson, ids };
  throw new WrongUsage(
    "the queues of this configuration lie in memory, and nobody can be asked about them from outside\n  name a file_storage in sending_queue.storage",
  );
}

function parse(args: string[]) {
  try {
    return parseOptions({
      args,
      allowPositionals: true,
      options: {
        filter: MANY,
        storage: { type: "string" },
        json: { type: "boolean" },
        config: MANY,
        set: MANY,
        processors: MANY,
      },
    });
  } catch (error) {
    throw new WrongUsage(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function list({ folder, filter, isJson }: Question, io: CliIo): Promise<number> {
  let count = 0;
  for await (const letter of askDeadLetters("list", folder, filter, io)) {
    if (count === 0 && !isJson) io.stdout(`${formatRow(HEADINGS, io)}\n`);
    count += 1;
    io.stdout(`${isJson ? visibleJson(letter) : formatRow(rowOf(letter), io)}\n`);
  }
  if (count === 0) io.stderr(filter.length === 0 ? "no dead letters\n" : "no dead letters match\n");
  return EXIT_OK;
}

const HEADINGS = ["ID", "TIME", "DESTINATION", "SIGNAL", "ITEMS", "BYTES", "REASON", "ATTEMPTS", "MESSAGE"];
const WIDTHS = [10, 24, 24, 7, 7, 9, 15, 8];

function rowOf({ id, time, destination, signal, items, bytes, reason, attempts, message }: LetterSummary): string[] {
  return [id, time, destination, signal, String(items), String(bytes), reason, String(attempts), message];
}

/** Narrower, and nothing of the message would be left. */
const COLUMNS_MIN = 140;

/** A cell that is too wide pushes the others: an id that is cut is no id. */
function formatRow(cells: readonly string[], io: CliIo): string {
  const padded = cells.map((cell, index) => visibleText(cell).padEnd(WIDTHS[index] ?? 0));
  const row = padded.join(" ").trimEnd();
  return io.isTty ? cutText(row, Math.max(readColumns(io.env), COLUMNS_MIN)) : row;
}

async function show({ folder, ids, filter }: Question, io: CliIo): Promise<number> {
  const [id] = ids;
  if (id === undefined || ids.length > 1)
    throw new WrongUsage("one ID is needed\n  signalbox deadletters list has them");
  for await (const letter of askDeadLetters("export", folder, [...filter, `id=${id}`], io)) {
    io.stdout(`${visibleJson(letter, 2)}\n`);
    return EXIT_OK;
  }
  io.stderr(`no dead letter has the id ${id}; it may be replayed, dropped, or pushed out by newer ones\n`);
  return EXIT_FAILED;
}

async function exportAll({ folder, filter }: Question, io: CliIo): Promise<number> {
  let exitCode: number = EXIT_OK;
  for await (const letter of askDeadLetters("export", folder, filter, io)) {
    io.stdout(`${JSON.stringify(letter)}\n`);
    const { unreadable, id } = letter.signalbox;
    if (unreadable === undefined) continue;
    io.stderr(`dead letter ${id} cannot be read: ${visibleText(JSON.stringify(unreadable))}\n`);
    exitCode = EXIT_FAILED;
  }
  return exitCode;
}

async function replay({ folder, filter, ids, isJson }: Question, io: CliIo): Promise<number> {
  for await (const report of askDeadLetters("replay", folder, [...filter, ...idTerms(ids)], io)) {
    if (isJson) io.stdout(`${visibleJson(report)}\n`);
    else io.stdout(formatReplay(report));
    return report.refused.length === 0 ? EXIT_OK : EXIT_FAILED;
  }
  return EXIT_FAILED;
}

function formatReplay({ letters, items, leftOutLetters, refused }: ReplayReport): string {
  const lines = [`${letters} dead letters with ${items} items are queued again`];
  for (const { destination, letters: left, reason } of refused) {
    lines.push(`${left} for ${destination} stay: ${visibleText(reason)}`);
  }
  if (leftOutLetters > 0) {
    lines.push(
      `${leftOutLetters} stay, since their destination took a part of each: --filter reason=partial_success sends that part again`,
    );
  }
  return `${lines.join("\n")}\n`;
}

async function drop({ folder, filter, ids, isJson }: Question, io: CliIo): Promise<number> {
  const terms = [...filter, ...idTerms(ids)];
  if (terms.length === 0) {
    throw new WrongUsage(
      "drop needs a filter, since nothing brings them back\n  --filter until=0s means all there are",
    );
  }
  for await (const dropped of askDeadLetters("drop", folder, terms, io)) {
    const text = `${dropped.letters} dead letters with ${dropped.items} items are gone`;
    io.stdout(`${isJson ? visibleJson(dropped) : text}\n`);
  }
  return EXIT_OK;
}

function idTerms(ids: readonly string[]): string[] {
  if (ids.length > 1) throw new WrongUsage("one ID at a time, or a filter");
  return ids.map((id) => `id=${id}`);
}
