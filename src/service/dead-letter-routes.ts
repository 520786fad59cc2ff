import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { DeadLetterDesk } from "../queue/dead-letter-desk.ts";
import { DeadLetterFilterError } from "../queue/dead-letter-filter.ts";
import { DeadLetters } from "../queue/dead-letters.ts";
import type { Queues } from "../queue/queues.ts";
import { Journal } from "../queue/journal.ts";
import { Ledger } from "../queue/ledger.ts";
import { nodeDisk } from "../queue/segment-log/disk.ts";
import { SegmentLog } from "../queue/segment-log/segment-log.ts";
import { AdminError } from "./admin-door.ts";
import type { AdminAnswer, AdminRequest, AdminRoute } from "./admin-door.ts";
import { MetricsRegistry } from "./metrics-registry.ts";

/** `{ "filter": ["destination=otlp_grpc/dash0", "reason=rejected"] }` to each of them. */
export const DEAD_LETTER_PATHS = {
  list: "/dead-letters/list",
  export: "/dead-letters/export",
  replay: "/dead-letters/replay",
  drop: "/dead-letters/drop",
} as const;

export function deadLetterRoutes(queues: Pick<Queues, "deadLetters" | "replayTarget">, clock: Clock): AdminRoute[] {
  const targets: Queues["replayTarget"] = (destination, signal) => queues.replayTarget(destination, signal);
  const desk = new DeadLetterDesk(queues.deadLetters, targets, clock);
  return [
    route(DEAD_LETTER_PATHS.list, (filter) => ({ lines: desk.list(filter) })),
    route(DEAD_LETTER_PATHS.export, (filter) => ({ lines: desk.export(filter) })),
    route(DEAD_LETTER_PATHS.replay, async (filter, { signal }) => ({ json: await desk.replay(filter, signal) })),
    route(DEAD_LETTER_PATHS.drop, async (filter) => ({ json: await desk.drop(filter) })),
  ];
}

type Answer = (filter: readonly string[], request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>;

function route(path: string, answer: Answer): AdminRoute {
  return {
    method: "POST",
    path,
    answer: async (request) => {
      try {
        const given = await answer(filterOf(request.body), request);
        return "lines" in given ? { lines: await begun(given.lines) } : given;
      } catch (error) {
        throw error instanceof DeadLetterFilterError ? new AdminError(400, error.message) : error;
      }
    },
  };
}

/** Until its first line nothing has been sent, so that a wrong filter is an answer and not a broken connection. */
async function begun(lines: AsyncIterable<unknown>): Promise<AsyncIterable<unknown>> {
  const iterator = lines[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* (): AsyncGenerator {
    for (let next = first; next.done !== true; next = await iterator.next()) yield next.value;
  })();
}

function filterOf(body: unknown): readonly string[] {
  if (typeof body === "object" && body !== null && "filter" in body && Array.isArray(body.filter)) {
    if (body.filter.every((term) => typeof term === "string")) return body.filter;
  }
  throw new AdminError(400, 'the question must be { "filter": [...] }, a list of texts');
}

/** The dead letters of a gateway that does not run. Whoever opens them has the folder's lock, until close(). */
export interface StoredDeadLetters {
  readonly desk: DeadLetterDesk;
  close(): Promise<void>;
}

/** What is replayed is queued in the log alone: the next gateway on the folder finds and sends it. */
export async function openStoredDeadLetters(
  folder: string,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<StoredDeadLetters> {
  const meter = new MetricsRegistry();
  const storage = new SegmentLog({ folder, disk: nodeDisk, clock, logger });
  const journal = new Journal({ storage, clock, logger });
  const ledger = new Ledger(meter);
  const letters = new DeadLetters({ clock, logger, meter, journal, ledger });
  await storage.replay({
    entry: () => undefined,
    letter: (letter) => letters.adopt(letter),
    seen: () => undefined,
    state: () => undefined,
    total: () => undefined,
  });
  const nobody = { takeRoom: () => undefined, giveBackRoom: () => undefined, accept: () => undefined };
  return { desk: new DeadLetterDesk(letters, () => nobody, clock), close: () => journal.close() };
}
