import type { Clock } from "../core/clock.ts";
import type { DeadLetter } from "./dead-letter.ts";
import type { ReplayTarget } from "./dead-letters.ts";
import type { Need, RoomList } from "./room.ts";
import { sizeIn } from "./queue-entry.ts";
import type { SendingQueue } from "./sending-queue.ts";
import type { Replay } from "./storage.ts";

/** So long a replayed letter waits for room; senders wait beside it, in one list. Then the replay goes on with other queues. */
const REPLAY_WAIT_MS = 10_000;

/** The queue of a running gateway takes replayed letters as it takes admissions: when it has room, in order of arrival. */
export function queueTarget(queue: SendingQueue, rooms: RoomList, clock: Clock): ReplayTarget {
  const needOf = (letter: DeadLetter): Need => ({ room: queue.room, size: sizeIn(queue.room.unit, letter) });
  return {
    takeRoom: (letter, signal) => {
      const need = needOf(letter);
      const { limit, unit, name } = queue.room;
      if (need.size > limit)
        return `${need.size} ${unit} exceed the whole sending queue of ${name}, which holds ${limit}`;
      const openedMs = clock.nowMs();
      const wait = rooms.take({ needs: [need], openedMs, deadlineMs: openedMs + REPLAY_WAIT_MS, signal });
      return wait?.then((refusal) => refusal?.error.message);
    },
    giveBackRoom: (letter) => rooms.giveBackAll([needOf(letter)]),
    accept: (letter: DeadLetter, replay: Replay) => {
      const { ref, itemCount, bytes, client, admittedUnixMs } = letter;
      const admittedUnixSeconds = Math.floor(admittedUnixMs / 1000);
      const room = needOf(letter).size;
      queue.accept({ ref, itemCount, bytes, room, client, admittedUnixSeconds, replay });
    },
  };
}
