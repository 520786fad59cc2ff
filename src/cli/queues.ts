import { resolve } from "node:path";
import { ITEM_WORDS } from "../core/signal.ts";
import type { QueueChange, QueueSummary } from "../queue/queue-desk.ts";
import { storageFolderOf } from "../service/admin-socket.ts";
import { GATEWAY_USAGE, readGatewayArgs } from "./gateway-args.ts";
import { type CliIo, EXIT_FAILED, EXIT_OK } from "./io.ts";
import { loadAndReport } from "./load-command.ts";
import { parseOptions } from "./parse-options.ts";
import { runQueueCommand, WrongUsage } from "./queue-command.ts";
import { askQueues } from "./queue-client.ts";
import type { QueuePlaceOnDisk } from "./queue-client.ts";
import { visibleJson, visibleText } from "./terminal-text.ts";

export const QUEUES_USAGE = `  list               every destination and signal: what waits, what is in flight, since when, and whether it is parked
  move               what is parked for one destination (--from) into the queue of another (--to)
  dead-letter DESTINATION
                     what is parked for it becomes dead letters, which can be exported, and replayed when it is back
  drop DESTINATION   what is parked for it, for good

  --storage DIR      the folder of the queues, instead of the one that the configuration names; of a stopped gateway
                     only to list, since nobody knows what is parked without its configuration
  --json             as JSON
${GATEWAY_USAGE}`;

interface Question extends QueuePlaceOnDisk {
  readonly isJson: boolean;
  readonly names: readonly string[];
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** `signalbox queues`: of the gateway that has the folder; where none runs, in the folder itself. */
export function runQueuesCommand(args: string[], io: CliIo): Promise<number> {
  return runQueueCommand(
    { name: "queues", actions: { list, move, "dead-letter": bury, drop }, read: readQuestion },
    args,
    io,
  );
}

const MANY = { type: "string", multiple: true } as const;

async function readQuestion(args: string[], io: CliIo): Promise<Question | number> {
  const { values, positionals: names } = parse(args);
  const { from, to, storage, json: isJson = false, config, set = [], processors = [] } = values;
  const asked = { isJson, names, from, to };
  if (storage !== undefined && config === undefined) {
    return { ...asked, folder: resolve(storage), configuration: undefined };
  }
  const named = { config: config ?? [], set, processors };
  const gatewayOptions = Object.entries(named).flatMap(([name, all]) => all.flatMap((value) => [`--${name}`, value]));
  const gatewayArgs = readGatewayArgs("queues", gatewayOptions, io);
  if (typeof gatewayArgs === "number") return gatewayArgs;
  const loaded = await loadAndReport(gatewayArgs, io);
  if (typeof loaded === "number") return loaded;
  const { configuration } = loaded;
  const folder = storage === undefined ? storageFolderOf(configuration) : resolve(storage);
  if (folder !== undefined) return { ...asked, folder, configuration };
  throw new WrongUsage(
    "the queues of this configuration lie in memory, and nobody can be asked about them from outside\n  name a file_storage in sending_queue.storage",
  );
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  try {
    return parseOptions({
      args,
      allowPositionals: true,
      options: {
        from: text,
        to: text,
        storage: text,
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

async function list(question: Question, io: CliIo): Promise<number> {
  const queues = await askQueues("list", {}, question, io);
  if (question.isJson) io.stdout(`${visibleJson(queues, 2)}\n`);
  else if (queues.length === 0) io.stderr("no queues\n");
  else io.stdout(formatTable([HEADINGS, ...queues.map(rowOf)]));
  return EXIT_OK;
}

const HEADINGS = ["DESTINATION", "SIGNAL", "STATE", "QUEUED", "IN FLIGHT", "HOLDS", "OLDEST"];

const STATES = { in_use: "in use", parked: "parked", stored: "stored", no_queue: "no queue" } as const;

function rowOf({
  destination,
  signal,
  state,
  queued,
  in_flight,
  size,
  capacity,
  sizer,
  oldest,
}: QueueSummary): string[] {
  const holds = size === undefined ? "" : `${size} of ${capacity} ${sizer}`;
  return [destination, signal, STATES[state], String(queued), String(in_flight), holds, oldest ?? ""];
}

function formatTable(rows: readonly (readonly string[])[]): string {
  const visible = rows.map((row) => row.map(visibleText));
  const widths = visible[0]!.map((_, column) => Math.max(...visible.map((row) => row[column]!.length)));
  const lines = visible.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

async function move(question: Question, io: CliIo): Promise<number> {
  const { from, to, names } = question;
  if (from === undefined || to === undefined || names.length > 0) {
    throw new WrongUsage("move needs two destinations\n  write --from DESTINATION --to DESTINATION");
  }
  const change = await askQueues("move", { from, to }, question, io);
  return report(change, `${change.items} items that were parked for ${from} are in the queue of ${to}`, question, io);
}

async function drop(question: Question, io: CliIo): Promise<number> {
  const [destination] = question.names;
  if (destination === undefined || question.names.length > 1) {
    throw new WrongUsage("drop needs one destination\n  signalbox queues list has those that are parked");
  }
  const change = await askQueues("drop", { destination }, question, io);
  return report(change, `${change.items} items that were parked for ${destination} are gone`, question, io);
}

async function bury(question: Question, io: CliIo): Promise<number> {
  const [destination] = question.names;
  if (destination === undefined || question.names.length > 1) {
    throw new WrongUsage("dead-letter needs one destination\n  signalbox queues list has those that are parked");
  }
  const change = await askQueues("bury", { destination }, question, io);
  return report(change, `${change.items} items that were parked for ${destination} are dead letters`, question, io);
}

function report(change: QueueChange, sentence: string, { isJson }: Question, io: CliIo): number {
  const left = change.stay.map(({ signal, items, reason }) => `${items} ${ITEM_WORDS[signal]} stay parked: ${reason}`);
  if (isJson) io.stdout(`${visibleJson(change)}\n`);
  else io.stdout(`${[sentence, ...left].map(visibleText).join("\n")}\n`);
  return change.stay.length === 0 ? EXIT_OK : EXIT_FAILED;
}
