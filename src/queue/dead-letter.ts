import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Signal } from "../core/signal.ts";
import type { DeadLetterMark, DeadLetterReason, EntryRef } from "./storage.ts";

/** A batch that its destination will not get unless somebody asks for it. Its bytes are in the storage. */
export interface DeadLetter {
  readonly ref: EntryRef;
  readonly destination: string;
  readonly signal: Signal;
  readonly itemCount: number;
  readonly bytes: number;
  readonly admittedUnixMs: number;
  readonly client: ClientMetadata;
  readonly mark: DeadLetterMark;
}

/** The same for as long as the letter is in the storage; a replay that fails again has it again. */
export function idOf({ ref }: Pick<DeadLetter, "ref">): string {
  return `${ref.sequence}.${ref.index}`;
}

/** A backend's words are an answer's body at worst; this much tells what it is about. */
const MESSAGE_LENGTH_MAX = 500;

export function createMark(
  reason: DeadLetterReason,
  of: { readonly atUnixMs: number; readonly attempts?: number; readonly message: string; readonly replays?: number },
): DeadLetterMark {
  const { atUnixMs, attempts = 0, replays = 0 } = of;
  const message = of.message.length > MESSAGE_LENGTH_MAX ? `${of.message.slice(0, MESSAGE_LENGTH_MAX)}...` : of.message;
  return { reason, atUnixMs, attempts, message, replays };
}
