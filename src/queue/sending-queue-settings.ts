import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Signal } from "../core/signal.ts";
import type { SendingQueueConfig } from "./config.ts";
import type { DeadLetterBox } from "./dead-letter-box.ts";
import type { Delivery } from "./delivery.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import type { QueueEntry } from "./queue-entry.ts";
import type { QueueSizes } from "./queue-sizes.ts";
import type { RoomList, RoomQueue } from "./room.ts";

export interface SendingQueueSettings {
  readonly destination: string;
  readonly signal: Signal;
  readonly config: SendingQueueConfig;
  readonly delivery: Delivery;
  readonly room: RoomQueue;
  readonly rooms: RoomList;
  readonly journal: Journal;
  readonly isDurable: boolean;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Only where they are shown. */
  readonly sizes?: QueueSizes | undefined;
  /** Of the destination. */
  readonly deadLetters: DeadLetterBox;
  /** For the log: items that were too old before they were tried, and such as found no room. */
  readonly onLost: (kind: "expired" | "overflowed", items: number) => void;
}

/** Entries that an admission pushes out, and the room that it holds beyond theirs until it is settled. */
export interface Eviction {
  readonly entries: readonly QueueEntry[];
  readonly heldRoom: number;
}
