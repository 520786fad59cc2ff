import type { Clock } from "../core/clock.ts";
import type { ReplayTarget, RoomTaker } from "./dead-letters.ts";
import { sizeIn } from "./queue-entry.ts";
import type { Need, RoomList } from "./room.ts";
import type { SendingQueue } from "./sending-queue.ts";

/** So long what is queued again waits for room; senders wait beside it, in one list. Then whoever asked goes on with other queues. */
const REPLAY_WAIT_MS = 10_000;

/** The queue of a running gateway takes what is queued again as it takes admissions: when it has room, in order of arrival. */
export function queueTarget(queue: SendingQueue, rooms: RoomList, clock: Clock): ReplayTarget {
  const needOf = (taker: RoomTaker): Need => ({ room: queue.room, size: sizeIn(queue.room.unit, taker) });
  return {
    takeRoom: (taker, signal) => {
      const need = needOf(taker);
      const { limit, unit, name } = queue.room;
      if (need.size > limit)
        return `${need.size} ${unit} exceed the whole sending queue of ${name}, which holds ${limit}`;
      const openedMs = clock.nowMs();
      const wait = rooms.take({ needs: [need], openedMs, deadlineMs: openedMs + REPLAY_WAIT_MS, signal });
      return wait?.then((refusal) => refusal?.error.message);
    },
    giveBackRoom: (taker) => rooms.giveBackAll([needOf(taker)]),
    accept: (entry) => queue.accept({ ...entry, room: needOf(entry).size }),
  };
}
