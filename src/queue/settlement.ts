import type { EncodedPayload } from "../wire/otlp/types.ts";
import type { DeadLetterBox, LetterRoom } from "./dead-letter-box.ts";
import { refsOf } from "./dead-letter-box.ts";
import { createMark } from "./dead-letter.ts";
import type { DeliveryOutcome, Loss } from "./delivery.ts";
import type { DestinationAccount } from "./ledger-accounts.ts";
import type { QueueEntry } from "./queue-entry.ts";
import type { DeadLetterMark, EntryRef, LedgerDelta } from "./storage.ts";

export interface SettlementSettings {
  readonly entries: readonly QueueEntry[];
  readonly outcome: DeliveryOutcome;
  /** Items of the entries that stay queued, as entries of their own. */
  readonly restItems: number;
  readonly account: DestinationAccount;
  readonly box: DeadLetterBox;
  readonly nowMs: number;
}

/** An entry that becomes a dead letter where it lies. */
export interface BuriedEntry {
  readonly entry: QueueEntry;
  readonly mark: DeadLetterMark;
  readonly room: LetterRoom;
}

/** A part of a split request, which becomes one with bytes of its own. */
export interface BuriedPart {
  readonly payload: EncodedPayload;
  readonly mark: DeadLetterMark;
  readonly room: LetterRoom;
}

/** What becomes of the entries of one request that has come to an end, and what the ledger says about it. */
export interface Settlement {
  /** Entries that are done with, and dead letters that leave for new ones. */
  readonly done: readonly EntryRef[];
  readonly buried: readonly BuriedEntry[];
  readonly parts: readonly BuriedPart[];
  readonly deltas: readonly LedgerDelta[];
}

/**
 * Takes room for dead letters where there are any; whoever asked adds them, or gives it back.
 *
 * A request of which nothing arrived is kept as the entries it was made of: nothing is written but what they became. Of
 * one that arrived in part only the other parts are kept.
 */
export function planSettlement(settings: SettlementSettings): Settlement {
  const { entries, outcome, box } = settings;
  const kept = outcome.losses.length === 0 ? [] : outcome.losses.filter(({ reason }) => box.keeps(reason));
  if (kept.length === 0)
    return { done: entries.map(({ ref }) => ref), buried: [], parts: [], deltas: deltasOf(settings) };
  return isWhole(settings, kept) ? buryEntries(settings, kept[0]!) : buryParts(settings, kept);
}

/** Every item of every entry has the same fate, so that no bytes have to be told apart. */
function isWhole({ entries, outcome }: SettlementSettings, kept: readonly Loss[]): boolean {
  const items = entries.reduce((sum, { itemCount }) => sum + itemCount, 0);
  const keptItems = kept.reduce((sum, { payload }) => sum + payload.itemCount, 0);
  const isPartial = kept.some(({ reason }) => reason === "partial_success");
  return keptItems === items && (isPartial ? kept.length === 1 : outcome.sent === 0);
}

function buryEntries(settings: SettlementSettings, loss: Loss): Settlement {
  const { entries, box, nowMs } = settings;
  const done: EntryRef[] = [];
  const buried: BuriedEntry[] = [];
  for (const entry of entries) {
    const room = box.takeRoom(entry.bytes);
    if (room === undefined) done.push(entry.ref);
    else buried.push({ entry, room, mark: markOf(loss, nowMs, entry.replay?.count) });
  }
  for (const { room } of buried) done.push(...refsOf(room.evicted));
  const items = loss.reason === "partial_success" ? 0 : buried.reduce((sum, { entry }) => sum + entry.itemCount, 0);
  const letters = buried.flatMap(({ entry, room }) => box.deltasOf(settings.account.signal, entry.itemCount, room));
  return { done, buried, parts: [], deltas: [...deltasOf(settings, items), ...letters] };
}

function buryParts(settings: SettlementSettings, kept: readonly Loss[]): Settlement {
  const { entries, box, nowMs } = settings;
  const done = entries.map(({ ref }) => ref);
  const parts: BuriedPart[] = [];
  const replays = Math.max(...entries.map(({ replay }) => replay?.count ?? 0));
  const letters: LedgerDelta[] = [];
  let items = 0;
  for (const loss of kept) {
    const room = box.takeRoom(loss.payload.size);
    if (room === undefined) continue;
    done.push(...refsOf(room.evicted));
    parts.push({ payload: loss.payload, room, mark: markOf(loss, nowMs, replays) });
    letters.push(...box.deltasOf(settings.account.signal, loss.payload.itemCount, room));
    if (loss.reason !== "partial_success") items += loss.payload.itemCount;
  }
  return { done, buried: [], parts, deltas: [...deltasOf(settings, items), ...letters] };
}

/** `deadLettered`: of those that the outcome counts as rejected or expired. */
function deltasOf({ entries, outcome, restItems, account }: SettlementSettings, deadLettered = 0): LedgerDelta[] {
  const { sent, error } = outcome;
  const items = entries.reduce((sum, { itemCount }) => sum + itemCount, 0);
  const unreadable = items - restItems - sent - outcome.rejected - outcome.expired;
  const rejected = Math.max(outcome.rejected - deadLettered, 0);
  const expired = outcome.rejected + outcome.expired - deadLettered - rejected;
  const deltas: LedgerDelta[] = [];
  if (sent > 0) deltas.push({ counter: account.sent, items: sent });
  if (rejected > 0) deltas.push({ counter: account.rejected, items: rejected, error });
  if (expired > 0) deltas.push({ counter: account.expired, items: expired, error });
  if (deadLettered > 0) deltas.push({ counter: account.deadLettered, items: deadLettered, error });
  if (unreadable > 0) deltas.push({ counter: account.dropped.for("unreadable"), items: unreadable });
  return deltas;
}

function markOf({ reason, attempts, message }: Loss, atUnixMs: number, replays = 0): DeadLetterMark {
  return createMark(reason, { atUnixMs, attempts, message, replays });
}
