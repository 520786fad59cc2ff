import { systemClock } from "../core/clock.ts";
import type { DeadLetterDesk, Dropped, ExportedLetter, LetterSummary } from "../queue/dead-letter-desk.ts";
import { DeadLetterFilterError } from "../queue/dead-letter-filter.ts";
import type { ReplayReport } from "../queue/dead-letters.ts";
import { createConsoleLogger } from "../service/console-logger.ts";
import { DEAD_LETTER_PATHS, openStoredDeadLetters } from "../service/dead-letter-routes.ts";
import { AdminRefusal, askAdmin } from "./admin-client.ts";
import type { CliIo } from "./io.ts";
import { lockFolder } from "./lock-folder.ts";

type Operation = keyof typeof DEAD_LETTER_PATHS;

/** What each operation answers, line by line. */
interface Answers {
  readonly list: LetterSummary;
  readonly export: ExportedLetter;
  readonly replay: ReplayReport;
  readonly drop: Dropped;
}

/**
 * Asks the gateway that has the folder; where none has, takes the folder's lock and does it here. Throws AdminRefusal with
 * what is wrong, for the person who asked.
 */
export async function* askDeadLetters<O extends Operation>(
  operation: O,
  folder: string,
  filter: readonly string[],
  io: CliIo,
): AsyncGenerator<Answers[O]> {
  const answer = await askAdmin(folder, { method: "POST", path: DEAD_LETTER_PATHS[operation], body: { filter } });
  // Our own door's answer to our own question.
  if (answer !== undefined) yield* answer as AsyncIterable<Answers[O]>;
  else yield* askFolder(operation, folder, filter, io);
}

async function* askFolder<O extends Operation>(
  operation: O,
  folder: string,
  filter: readonly string[],
  io: CliIo,
): AsyncGenerator<Answers[O]> {
  using held = new DisposableStack();
  held.use(lockFolder(folder));
  const logger = createConsoleLogger({ clock: systemClock, write: io.stderr, level: "warn", encoding: "console" });
  const stored = await openStoredDeadLetters(folder, { clock: systemClock, logger });
  try {
    yield* ask(operation, stored.desk, filter) as AsyncIterable<Answers[O]>;
  } catch (error) {
    throw error instanceof DeadLetterFilterError ? new AdminRefusal(error.message) : error;
  } finally {
    await stored.close();
  }
}

async function* ask(operation: Operation, desk: DeadLetterDesk, filter: readonly string[]): AsyncGenerator {
  if (operation === "list") yield* desk.list(filter);
  else if (operation === "export") yield* desk.export(filter);
  else if (operation === "replay") yield await desk.replay(filter, new AbortController().signal);
  else yield await desk.drop(filter);
}
