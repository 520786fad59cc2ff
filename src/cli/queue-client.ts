import type { Configuration } from "../config/configuration.ts";
import { systemClock } from "../core/clock.ts";
import { QueueCommandError } from "../queue/queue-desk.ts";
import type { QueueChange, QueueDesk, QueueSummary } from "../queue/queue-desk.ts";
import { createConsoleLogger } from "../service/console-logger.ts";
import { openStoredQueues, QUEUE_PATHS } from "../service/queue-routes.ts";
import { AdminRefusal, askAdmin } from "./admin-client.ts";
import type { CliIo } from "./io.ts";
import { lockFolder } from "./lock-folder.ts";

/** What each operation asks, and what it answers. */
interface Questions {
  readonly list: object;
  readonly move: { readonly from: string; readonly to: string };
  readonly drop: { readonly destination: string };
  readonly bury: { readonly destination: string };
}

interface Answers {
  readonly list: readonly QueueSummary[];
  readonly move: QueueChange;
  readonly drop: QueueChange;
  readonly bury: QueueChange;
}

export interface QueuePlaceOnDisk {
  readonly folder: string;
  /** undefined: the folder was named, and nobody knows which destinations there are to be. */
  readonly configuration: Configuration | undefined;
}

/**
 * Asks the gateway that has the folder; where none has, takes the folder's lock and does it here. Throws AdminRefusal with
 * what is wrong, for the person who asked.
 */
export async function askQueues<O extends keyof Answers>(
  operation: O,
  question: Questions[O],
  { folder, configuration }: QueuePlaceOnDisk,
  io: CliIo,
): Promise<Answers[O]> {
  const answer = await askAdmin(folder, { method: "POST", path: QUEUE_PATHS[operation], body: question });
  // Our own door's answer to our own question: one document.
  for await (const document of answer ?? []) return document as Answers[O];
  if (answer !== undefined) throw new AdminRefusal("the gateway ended before it had answered\n  ask again");
  if (configuration === undefined && operation !== "list") {
    const fix = "name its configuration with --config, or start it";
    throw new AdminRefusal(`no gateway runs with ${folder}, so nobody knows which queues are parked\n  ${fix}`);
  }
  using held = new DisposableStack();
  held.use(lockFolder(folder));
  // That destinations are not configured is what the command is about; damage is said.
  const logger = createConsoleLogger({ clock: systemClock, write: io.stderr, level: "error", encoding: "console" });
  const stored = await openStoredQueues(folder, configuration, { clock: systemClock, logger });
  try {
    return (await ask(stored.desk, operation, question)) as Answers[O];
  } catch (error) {
    throw error instanceof QueueCommandError ? new AdminRefusal(error.message) : error;
  } finally {
    await stored.close();
  }
}

function ask(desk: QueueDesk, operation: keyof Answers, question: object): unknown {
  if (operation === "list") return desk.list();
  if (operation === "drop") return desk.drop((question as Questions["drop"]).destination);
  if (operation === "bury") return desk.bury((question as Questions["bury"]).destination);
  const { from, to } = question as Questions["move"];
  return desk.move(from, to, new AbortController().signal);
}
