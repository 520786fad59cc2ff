import { ClientMetadata, type Transport } from "../../core/client-metadata.ts";
import type { StateChange } from "../../core/admission.ts";
import { isSignal, type Signal } from "../../core/signal.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";
import type {
  AdmissionRecord,
  CompletionRecord,
  DeadLetterMark,
  DeadLetterReason,
  EntryMark,
  EntryRef,
  LedgerDelta,
  StoredEntry,
  StoredKey,
} from "../storage.ts";
import { checksumOf, type FrameKind, type SegmentEnd } from "./format.ts";

/**
 * The descriptions of frames: JSON with short keys, since one is written for every request. Arrays are tuples in the
 * order of the types here. JSON rather than a codec of our own: it is a tenth of the cost of a sync, and a person can
 * read a damaged file with `strings`.
 */

type RefTuple = readonly [sequence: number, index: number];
type KeyTuple = readonly [source: string, key: string, expiresUnixMs: number];
/** The value as base64; null for a deleted key. */
type StateTuple = readonly [owner: string, key: string, value: string | null];
type PayloadTuple = readonly [size: number, checksum: number];
type DeltaTuple = readonly [counter: string, items: number];
export type EndTuple = readonly [segment: number, size: number, frameCount: number];
type LetterTuple = readonly [
  reason: DeadLetterReason,
  atUnixMs: number,
  attempts: number,
  message: string,
  replays: number,
];

export interface AdmissionDescription {
  /** Admitted, ms since the epoch. */
  readonly at: number;
  readonly from: readonly [transport: Transport, address: string, headers: Readonly<Record<string, readonly string[]>>];
  readonly entries: readonly (readonly [
    destination: string,
    signal: Signal,
    itemCount: number,
    payloadIndex: number,
    /** Of one that is a dead letter from the start. */
    letter?: LetterTuple,
  ])[];
  readonly payloads: readonly PayloadTuple[];
  readonly evicted?: readonly RefTuple[];
  readonly seen?: readonly KeyTuple[];
  readonly state?: readonly StateTuple[];
  readonly ledger?: readonly DeltaTuple[];
}

/** What entries become that stay. Absent means none. */
export interface MarksDescription {
  readonly dead?: readonly (readonly [sequence: number, index: number, letter: LetterTuple])[];
  readonly replayed?: readonly (readonly [sequence: number, index: number, atUnixMs: number, count: number])[];
}

export interface CompletionDescription extends MarksDescription {
  readonly done: readonly RefTuple[];
  readonly ledger?: readonly DeltaTuple[];
  /** Its number among those that were noted before they were written here (recent-file.ts). They are written in this order. */
  readonly note?: number;
}

/** What a segment holds that is written no more: said by later ones, so that it is missed. `totals`: of its records. */
export type HeldTuple = readonly [
  segment: number,
  size: number,
  recordCount: number,
  firstSequence: number,
  lastSequence: number,
  totals: readonly DeltaTuple[],
];

/** What of an admission still waits, written anew so that the segment it stands in can go. */
export interface MovedDescription extends MarksDescription {
  /** The admission's sequence number: its entries are still named by it. */
  readonly of: number;
  readonly at: number;
  readonly from: AdmissionDescription["from"];
  /** `index`: in the admission's entries. */
  readonly entries: readonly (readonly [
    index: number,
    destination: string,
    signal: string,
    itemCount: number,
    payloadIndex: number,
  ])[];
  readonly payloads: readonly PayloadTuple[];
}

/** What stood in removed segments and still counts. Written before they are unlinked. */
export interface CheckpointDescription extends MarksDescription {
  /** Segments whose files may still be there after a crash, and count no more. */
  readonly removed: readonly number[];
  /** How far segments count that stay, where a removed one said it. */
  readonly ends?: readonly EndTuple[];
  /** Sequence numbers, from and to, of groups that failed and may be on the disk all the same: of format version 1. */
  readonly failed?: readonly (readonly [from: number, to: number])[];
  /** Totals of all segments that were ever removed. */
  readonly totals: readonly DeltaTuple[];
  readonly seen: readonly KeyTuple[];
  readonly state: readonly StateTuple[];
  readonly done: readonly RefTuple[];
  /** The last note that stands in the log, in a removed segment or not. */
  readonly noted?: number;
  /** All segments before its own that count; in the first record of each segment. Others are gone, and in order. */
  readonly holds?: readonly HeldTuple[];
}

const NO_HEADERS: AdmissionDescription["from"][2] = {};

export interface EncodedAdmission {
  readonly description: AdmissionDescription;
  /** Each distinct payload once. */
  readonly payloads: readonly EncodedPayload[];
}

/** `headerNames`: of the sender's headers only these are written; others may be secrets. */
export function describeAdmission(record: AdmissionRecord, headerNames: readonly string[] = []): EncodedAdmission {
  const payloads = distinctPayloads(record.entries);
  const description: Writable<AdmissionDescription> = {
    at: record.admittedUnixMs,
    from: describeClient(record.client, headerNames),
    entries: record.entries.map((entry) => toEntryTuple(entry, payloads)),
    payloads: payloads.map(({ slices, size }) => [size, checksumOf(slices)] as const),
  };
  if (record.evicted.length > 0) description.evicted = record.evicted.map(toRefTuple);
  if (record.seen.length > 0) description.seen = record.seen.map(toKeyTuple);
  if (record.state.length > 0) description.state = record.state.map(toStateTuple);
  if (record.ledger.length > 0) description.ledger = record.ledger.map(toDeltaTuple);
  return { description, payloads };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Mostly there is one entry, and nothing to compare. */
function distinctPayloads(entries: readonly StoredEntry[]): readonly EncodedPayload[] {
  if (entries.length === 1) return [entries[0]!.payload];
  return [...new Set(entries.map((entry) => entry.payload))];
}

export function describeCompletion({ entries, marks = [], ledger }: CompletionRecord): CompletionDescription {
  return {
    done: entries.map(toRefTuple),
    ...describeMarks(marks),
    ...(ledger.length > 0 && { ledger: ledger.map(toDeltaTuple) }),
  };
}

export function describeMarks(marks: Iterable<EntryMark>): MarksDescription {
  const dead: NonNullable<MarksDescription["dead"]>[number][] = [];
  const replayed: NonNullable<MarksDescription["replayed"]>[number][] = [];
  for (const mark of marks) {
    const { sequence, index } = mark.ref;
    if ("deadLetter" in mark) dead.push([sequence, index, toLetterTuple(mark.deadLetter)]);
    else replayed.push([sequence, index, mark.replay.atUnixMs, mark.replay.count]);
  }
  return { ...(dead.length > 0 && { dead }), ...(replayed.length > 0 && { replayed }) };
}

export function toMarks({ dead = [], replayed = [] }: MarksDescription): EntryMark[] {
  return [
    ...dead.map(([sequence, index, letter]) => ({ ref: { sequence, index }, deadLetter: toDeadLetter(letter) })),
    ...replayed.map(([sequence, index, atUnixMs, count]) => ({
      ref: { sequence, index },
      replay: { atUnixMs, count },
    })),
  ];
}

export function toDeadLetter([reason, atUnixMs, attempts, message, replays]: LetterTuple): DeadLetterMark {
  return { reason, atUnixMs, attempts, message, replays };
}

export function toEnd([segment, size, frameCount]: EndTuple): SegmentEnd {
  return { segment, size, frameCount };
}

export function toEndTuple({ segment, size, frameCount }: SegmentEnd): EndTuple {
  return [segment, size, frameCount];
}

function toLetterTuple({ reason, atUnixMs, attempts, message, replays }: DeadLetterMark): LetterTuple {
  return [reason, atUnixMs, attempts, message, replays];
}

function toEntryTuple(
  { destination, signal, payload, deadLetter }: StoredEntry,
  payloads: readonly EncodedPayload[],
): AdmissionDescription["entries"][number] {
  const payloadIndex = payloads.indexOf(payload);
  if (deadLetter === undefined) return [destination, signal, payload.itemCount, payloadIndex];
  return [destination, signal, payload.itemCount, payloadIndex, toLetterTuple(deadLetter)];
}

export function payloadsOf(kind: FrameKind, description: unknown): readonly PayloadTuple[] {
  if (kind !== "admission" && kind !== "moved") return [];
  return (description as Pick<AdmissionDescription, "payloads">).payloads;
}

export const toRefTuple = ({ sequence, index }: EntryRef): RefTuple => [sequence, index];
export const toRef = ([sequence, index]: RefTuple): EntryRef => ({ sequence, index });
export const toKeyTuple = ({ source, key, expiresUnixMs }: StoredKey): KeyTuple => [source, key, expiresUnixMs];
export const toKey = ([source, key, expiresUnixMs]: KeyTuple): StoredKey => ({ source, key, expiresUnixMs });
const toDeltaTuple = ({ counter, items }: LedgerDelta): DeltaTuple => [counter.id, items];

export function toStateTuple({ owner, key, value }: StateChange): StateTuple {
  return [owner, key, value === undefined ? null : Buffer.from(value).toString("base64")];
}

export function toState([owner, key, value]: StateTuple): StateChange {
  return { owner, key, value: value === null ? undefined : Buffer.from(value, "base64") };
}

export function describeClient(client: ClientMetadata, headerNames: readonly string[]): AdmissionDescription["from"] {
  if (headerNames.length === 0) return [client.transport, client.address, NO_HEADERS];
  const headers = Object.fromEntries(headerNames.map((name) => [name, client.get(name)]));
  return [client.transport, client.address, headers];
}

export function toClient([transport, address, headers]: AdmissionDescription["from"]): ClientMetadata {
  return new ClientMetadata(transport, address, new Map(Object.entries(headers)));
}

/** The checksum has matched, so this is what we wrote; a signal that this version does not know is still possible. */
export function parseDescription(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
}

export function knownSignal(text: string): Signal | undefined {
  return isSignal(text) ? text : undefined;
}
