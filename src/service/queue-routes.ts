import type { Configuration } from "../config/configuration.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Signal } from "../core/signal.ts";
import type { ReplayTarget, ReplayTargets } from "../queue/dead-letters.ts";
import { QueueCommandError } from "../queue/queue-desk.ts";
import type { QueueDesk } from "../queue/queue-desk.ts";
import { createQueues } from "../queue/queues.ts";
import { nodeDisk } from "../queue/segment-log/disk.ts";
import { SegmentLog } from "../queue/segment-log/segment-log.ts";
import { AdminError } from "./admin-door.ts";
import type { AdminAnswer, AdminRequest, AdminRoute } from "./admin-door.ts";
import { MetricsRegistry } from "./metrics-registry.ts";

/** `{ "from": "otlp_grpc/old", "to": "otlp_grpc/new" }` to move, `{ "destination": ... }` to drop, or to make dead letters of. */
export const QUEUE_PATHS = {
  list: "/queues/list",
  move: "/queues/move",
  drop: "/queues/drop",
  bury: "/queues/dead-letter",
} as const;

export function queueRoutes(desk: QueueDesk): AdminRoute[] {
  return [
    route(QUEUE_PATHS.list, () => ({ json: desk.list() })),
    route(QUEUE_PATHS.move, async ({ body, signal }) => ({
      json: await desk.move(textIn(body, "from"), textIn(body, "to"), signal),
    })),
    route(QUEUE_PATHS.bury, async ({ body }) => ({ json: await desk.bury(textIn(body, "destination")) })),
    route(QUEUE_PATHS.drop, async ({ body }) => ({ json: await desk.drop(textIn(body, "destination")) })),
  ];
}

function route(path: string, answer: (request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>): AdminRoute {
  return {
    method: "POST",
    path,
    answer: async (request) => {
      try {
        return await answer(request);
      } catch (error) {
        throw error instanceof QueueCommandError ? new AdminError(409, error.message) : error;
      }
    },
  };
}

function textIn(body: unknown, key: string): string {
  const text: unknown = typeof body === "object" && body !== null ? Reflect.get(body, key) : undefined;
  if (typeof text === "string" && text !== "") return text;
  throw new AdminError(400, `the question must be { "${key}": ... }, the id of a destination`);
}

/** The queues of a gateway that does not run. Whoever opens them has the folder's lock, until close(). */
export interface StoredQueues {
  readonly desk: QueueDesk;
  close(): Promise<void>;
}

/**
 * What is moved is queued in the log alone: the next gateway on the folder finds and sends it. Without a configuration
 * nobody knows what is parked, so that it can be looked at and not touched.
 */
export async function openStoredQueues(
  folder: string,
  configuration: Configuration | undefined,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<StoredQueues> {
  const storage = new SegmentLog({ folder, disk: nodeDisk, clock, logger });
  const queues = createQueues({ clock, logger, meter: new MetricsRegistry(), storage, destinations: [] });
  await queues.start();
  const close = async (): Promise<void> => void (await queues.shutdown(AbortSignal.abort()));
  return { desk: queues.desk(configuration === undefined ? () => LOG_ALONE : targetsIn(configuration)), close };
}

const LOG_ALONE: ReplayTarget = { takeRoom: () => undefined, giveBackRoom: () => undefined, accept: () => undefined };

function targetsIn(configuration: Configuration): ReplayTargets {
  const pipelines = [...configuration.pipelines.values()];
  return (destination: string, signal: Signal) => {
    const isUsed = pipelines.some((one) => one.signal === signal && one.exporters.includes(destination));
    return isUsed ? LOG_ALONE : `${destination} is not configured for ${signal}`;
  };
}
