import { closestName } from "../core/closest-name.ts";
import { AdminRefusal } from "./admin-client.ts";
import { type CliIo, EXIT_FAILED, EXIT_USAGE } from "./io.ts";
import { visibleText } from "./terminal-text.ts";

/** The command line is wrong; the message is for the person who typed it. */
export class WrongUsage extends Error {}

export type QueueAction<Q> = (question: Q, io: CliIo) => Promise<number>;

export interface QueueCommand<Q> {
  /** As in `signalbox NAME ACTION`. */
  readonly name: string;
  readonly actions: Readonly<Record<string, QueueAction<Q>>>;
  /** What is asked, from the arguments behind the action; an exit code where it has been said what is wrong with them. */
  readonly read: (args: string[], io: CliIo) => Promise<Q | number>;
}

/** A command about the queues' folder: its first argument says what to do, and whoever has the folder may refuse. */
export async function runQueueCommand<Q extends object>(
  { name, actions, read }: QueueCommand<Q>,
  args: string[],
  io: CliIo,
): Promise<number> {
  try {
    const [what, ...rest] = args;
    const action = what !== undefined && Object.hasOwn(actions, what) ? actions[what] : undefined;
    if (action === undefined) throw new WrongUsage(wrongAction(what, Object.keys(actions)));
    const question = await read(rest, io);
    return typeof question === "number" ? question : await action(question, io);
  } catch (error) {
    if (!(error instanceof WrongUsage || error instanceof AdminRefusal)) throw error;
    io.stderr(`signalbox ${name}: ${error.message.split("\n").map(visibleText).join("\n")}\n`);
    return error instanceof WrongUsage ? EXIT_USAGE : EXIT_FAILED;
  }
}

function wrongAction(what: string | undefined, known: readonly string[]): string {
  const nearest = what === undefined ? undefined : closestName(what, known);
  const fix = nearest === undefined ? `write one of ${known.join(", ")}` : `did you mean ${nearest}?`;
  return `${what === undefined ? "what to do is missing" : `"${what}" is nothing to do with them`}\n  ${fix}`;
}
