import type { StateChange } from "../../core/admission.ts";
import type { ClientMetadata } from "../../core/client-metadata.ts";
import type { EntryRef, StoredKey } from "../storage.ts";
import {
  type AdmissionDescription,
  type CheckpointDescription,
  type CompletionDescription,
  knownSignal,
  toClient,
  toKey,
  toKeyTuple,
  toRef,
  toRefTuple,
  toState,
  toStateTuple,
} from "./record-codec.ts";
import type { ReplayVisitor } from "../storage.ts";

/** Where a payload's bytes lie. */
export interface PayloadPlace {
  readonly segment: number;
  readonly offset: number;
  readonly size: number;
  readonly checksum: number;
}

interface LiveEntry {
  readonly destination: string;
  readonly signal: string;
  readonly itemCount: number;
  readonly place: PayloadPlace;
}

interface LiveAdmission {
  readonly segment: number;
  readonly admittedUnixMs: number;
  readonly client: ClientMetadata;
  /** undefined once completed. */
  readonly entries: (LiveEntry | undefined)[];
  liveCount: number;
}

/** What a segment's records add to the state, and what must be carried on before its file goes. */
interface SegmentState {
  liveEntryCount: number;
  readonly totals: Map<string, number>;
  readonly seen: StoredKey[];
  /** Keys of `#states` whose latest value stands here. */
  readonly states: Set<string>;
  /** Entries of other segments that are completed by a record here: without it they would come back. */
  readonly done: EntryRef[];
}

/**
 * Every state is the log replayed: this is that state, kept up to date by the same calls while writing and while
 * replaying, so that the two cannot differ. It holds no payload bytes.
 */
export class LogState {
  readonly #admissions = new Map<number, LiveAdmission>();
  readonly #segments = new Map<number, SegmentState>();
  readonly #states = new Map<string, { readonly change: StateChange; readonly segment: number }>();
  /** Of removed segments. */
  readonly #totals = new Map<string, number>();
  readonly #failed: (readonly [number, number])[] = [];
  /** Which sequence numbers a segment holds, so that a completion is carried on only while its admission's file stands. */
  readonly #homes = new Map<number, { readonly from: number; to: number }>();

  addSegment(segment: number): void {
    if (!this.#segments.has(segment)) this.#segments.set(segment, newSegmentState());
  }

  applyAdmission(sequence: number, description: AdmissionDescription, segment: number, payloadOffset: number): void {
    this.#noteSequence(sequence, segment);
    const places: PayloadPlace[] = [];
    let offset = payloadOffset;
    for (const [size, checksum] of description.payloads) {
      places.push({ segment, offset, size, checksum });
      offset += size;
    }
    const entries = description.entries.map(([destination, signal, itemCount, payloadIndex]) => {
      return { destination, signal, itemCount, place: places[payloadIndex]! };
    });
    if (entries.length > 0) {
      const client = toClient(description.from);
      const admission = { segment, admittedUnixMs: description.at, client, entries, liveCount: entries.length };
      this.#admissions.set(sequence, admission);
      this.#segment(segment).liveEntryCount += entries.length;
    }
    for (const tuple of description.evicted ?? []) this.#complete(toRef(tuple), segment);
    for (const tuple of description.seen ?? []) this.#segment(segment).seen.push(toKey(tuple));
    for (const tuple of description.state ?? []) this.#setState(toState(tuple), segment);
    this.#addTotals(this.#segment(segment).totals, description.ledger ?? []);
  }

  applyCompletion({ done, ledger }: CompletionDescription, segment: number): void {
    for (const tuple of done) this.#complete(toRef(tuple), segment);
    this.#addTotals(this.#segment(segment).totals, ledger ?? []);
  }

  /** `isReplay`: the totals stand for segments that were never read; while writing they are counted already. */
  applyCheckpoint(checkpoint: CheckpointDescription, segment: number, isReplay: boolean): void {
    for (const tuple of checkpoint.seen) this.#segment(segment).seen.push(toKey(tuple));
    for (const tuple of checkpoint.state) this.#setState(toState(tuple), segment);
    for (const tuple of checkpoint.done) this.#complete(toRef(tuple), segment);
    if (!isReplay) return;
    this.#totals.clear();
    this.#addTotals(this.#totals, checkpoint.totals);
    this.#failed.splice(0, this.#failed.length, ...checkpoint.failed);
  }

  /** A group that could not be written: should its bytes be on the disk all the same, they do not count. */
  noteFailed(from: number, to: number): void {
    this.#failed.push([from, to]);
  }

  /** An entry whose bytes are damaged: it is lost. */
  lose(ref: EntryRef): void {
    this.#complete(ref, undefined);
  }

  place(ref: EntryRef): { readonly place: PayloadPlace; readonly itemCount: number } | undefined {
    const entry = this.#admissions.get(ref.sequence)?.entries[ref.index];
    return entry === undefined ? undefined : { place: entry.place, itemCount: entry.itemCount };
  }

  /** Segments in which nothing is live, but for the active one. */
  deadSegments(active: number): number[] {
    return [...this.#segments]
      .filter(([segment, { liveEntryCount }]) => segment !== active && liveEntryCount === 0)
      .map(([segment]) => segment);
  }

  /** What a checkpoint must carry on before these segments go. Changes nothing. */
  describeRemoval(removed: readonly number[], nowMs: number): CheckpointDescription {
    const going = new Set(removed);
    const totals = new Map(this.#totals);
    const states = removed.map((segment) => this.#segment(segment));
    for (const state of states) this.#addTotals(totals, [...state.totals]);
    const isNeeded = (ref: EntryRef): boolean => {
      // Only entries of a segment that stays could come back.
      const home = this.#homeOf(ref);
      return home !== undefined && !going.has(home);
    };
    return {
      removed,
      failed: this.#failed,
      totals: [...totals],
      seen: states.flatMap(({ seen }) => seen.filter((key) => key.expiresUnixMs > nowMs).map(toKeyTuple)),
      state: states.flatMap((state) => [...state.states].map((key) => toStateTuple(this.#states.get(key)!.change))),
      done: states.flatMap(({ done }) => done.filter(isNeeded).map(toRefTuple)),
    };
  }

  /** The checkpoint that carries them on is on the disk. */
  remove(removed: readonly number[]): void {
    for (const segment of removed) {
      this.#addTotals(this.#totals, [...this.#segment(segment).totals]);
      this.#segments.delete(segment);
      this.#homes.delete(segment);
    }
  }

  tell(visitor: ReplayVisitor, nowMs: number): void {
    for (const [sequence, admission] of [...this.#admissions].toSorted(([a], [b]) => a - b)) {
      for (const [index, entry] of admission.entries.entries()) {
        const signal = entry === undefined ? undefined : knownSignal(entry.signal);
        if (entry === undefined || signal === undefined) continue;
        const { admittedUnixMs, client } = admission;
        const { destination, itemCount, place } = entry;
        visitor.entry({
          ref: { sequence, index },
          destination,
          signal,
          itemCount,
          size: place.size,
          admittedUnixMs,
          client,
        });
      }
    }
    for (const { seen } of this.#segments.values()) {
      for (const key of seen) if (key.expiresUnixMs > nowMs) visitor.seen(key);
    }
    for (const { change } of this.#states.values()) if (change.value !== undefined) visitor.state(change);
    for (const [counterId, items] of this.totals()) visitor.total(counterId, items);
  }

  totals(): Map<string, number> {
    const totals = new Map(this.#totals);
    for (const segment of this.#segments.values()) this.#addTotals(totals, [...segment.totals]);
    return totals;
  }

  #noteSequence(sequence: number, segment: number): void {
    const home = this.#homes.get(segment);
    if (home === undefined) this.#homes.set(segment, { from: sequence, to: sequence });
    else home.to = sequence;
  }

  #homeOf(ref: EntryRef): number | undefined {
    for (const [segment, { from, to }] of this.#homes) if (ref.sequence >= from && ref.sequence <= to) return segment;
    return undefined;
  }

  #complete(ref: EntryRef, bySegment: number | undefined): void {
    if (bySegment !== undefined) this.#segment(bySegment).done.push(ref);
    const admission = this.#admissions.get(ref.sequence);
    if (admission?.entries[ref.index] === undefined) return;
    admission.entries[ref.index] = undefined;
    admission.liveCount -= 1;
    this.#segment(admission.segment).liveEntryCount -= 1;
    if (admission.liveCount === 0) this.#admissions.delete(ref.sequence);
  }

  #setState(change: StateChange, segment: number): void {
    const key = `${change.owner}\n${change.key}`;
    const former = this.#states.get(key);
    if (former !== undefined) this.#segments.get(former.segment)?.states.delete(key);
    this.#states.set(key, { change, segment });
    this.#segment(segment).states.add(key);
  }

  #segment(segment: number): SegmentState {
    this.addSegment(segment);
    return this.#segments.get(segment)!;
  }

  #addTotals(totals: Map<string, number>, deltas: Iterable<readonly [string, number]>): void {
    for (const [counter, items] of deltas) totals.set(counter, (totals.get(counter) ?? 0) + items);
  }
}

function newSegmentState(): SegmentState {
  return { liveEntryCount: 0, totals: new Map(), seen: [], states: new Set(), done: [] };
}
