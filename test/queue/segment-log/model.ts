import type { StateChange } from "../../../src/core/admission.ts";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { SegmentLog, type SegmentLogSettings } from "../../../src/queue/segment-log/segment-log.ts";
import type {
  AdmissionRecord,
  CompletionRecord,
  EntryRef,
  ReplayedEntry,
  ReplayedLetter,
  StoredKey,
} from "../../../src/queue/storage.ts";
import type { EncodedPayload } from "../../../src/wire/otlp/types.ts";
import { TestClock } from "../../support/test-clock.ts";
import { RecordingLogger } from "../support.ts";
import type { MemoryDisk } from "./memory-disk.ts";

export const FOLDER = "/queue";
export const RESERVE_BYTES = 256;
export const RECENT_BYTES = 2048;

export function openLog(
  disk: MemoryDisk,
  settings: Partial<SegmentLogSettings> = {},
): { log: SegmentLog; logger: RecordingLogger; clock: TestClock } {
  const logger = new RecordingLogger();
  const clock = new TestClock();
  const log = new SegmentLog({
    folder: FOLDER,
    disk,
    clock,
    logger,
    segmentBytes: 4096,
    cacheBytesMax: 1024,
    reserveBytes: RESERVE_BYTES,
    recentBytes: RECENT_BYTES,
    ...settings,
  });
  return { log, logger, clock };
}

/** A payload in two slices, filled with a number, so that any mix-up shows. */
export function payload(id: number, size: number): EncodedPayload {
  const first = new Uint8Array(Math.floor(size / 2)).fill(id % 251);
  const second = new Uint8Array(size - first.length).fill((id * 7) % 251);
  return { slices: [first, second], size, itemCount: (id % 5) + 1 };
}

export interface AdmissionPlan {
  readonly id: number;
  readonly size: number;
  readonly destinations: readonly string[];
  readonly evicted?: readonly EntryRef[];
  readonly seen?: readonly StoredKey[];
  readonly state?: readonly StateChange[];
}

export function admission({
  id,
  size,
  destinations,
  evicted = [],
  seen = [],
  state = [],
}: AdmissionPlan): AdmissionRecord {
  const shared = payload(id, size);
  return {
    kind: "admission",
    admittedUnixMs: id,
    client: new ClientMetadata(
      "grpc",
      "10.0.0.1",
      new Map([
        ["authorization", ["secret-token"]],
        ["x-team", ["blue"]],
      ]),
    ),
    entries: destinations.map((destination) => ({ destination, signal: "logs" as const, payload: shared })),
    evicted,
    seen,
    state,
    ledger: destinations.map((destination) => ({
      counter: { id: `admitted|${destination}` },
      items: shared.itemCount,
    })),
  };
}

export function completion(entries: readonly EntryRef[], items = 1): CompletionRecord {
  return { kind: "completion", entries, ledger: [{ counter: { id: "sent" }, items }] };
}

export interface Replayed {
  readonly entries: readonly ReplayedEntry[];
  readonly letters: readonly ReplayedLetter[];
  readonly seen: readonly StoredKey[];
  readonly states: ReadonlyMap<string, Uint8Array>;
  readonly totals: ReadonlyMap<string, number>;
}

export async function replay(log: SegmentLog): Promise<Replayed> {
  const entries: ReplayedEntry[] = [];
  const letters: ReplayedLetter[] = [];
  const seen: StoredKey[] = [];
  const states = new Map<string, Uint8Array>();
  const totals = new Map<string, number>();
  await log.replay({
    entry: (entry) => void entries.push(entry),
    letter: (letter) => void letters.push(letter),
    seen: (key) => void seen.push(key),
    state: ({ key, value }) => void states.set(key, value!),
    total: (counter, items) => void totals.set(counter, items),
  });
  return { entries, letters, seen, states, totals };
}

export const refKey = ({ sequence, index }: EntryRef): string => `${sequence}.${index}`;

export async function bytesOf(log: SegmentLog, ref: EntryRef): Promise<Buffer> {
  return Buffer.concat((await log.read(ref)).slices);
}
