import type { StateChange } from "../../core/admission.ts";
import type { EntryRef, ReplayVisitor } from "../storage.ts";
import { type FilesOfLog, KnownEnds } from "./known-ends.ts";
import { LatestMarks } from "./latest-marks.ts";
import {
  type LiveAdmission,
  type LiveEntry,
  type Movable,
  newSegmentState,
  NO_FILE,
  type PayloadPlace,
  placesOf,
  type SegmentState,
  toLiveEntry,
  toMovable,
} from "./live-records.ts";
import type { NotedCompletion } from "./recent-file.ts";
import {
  type AdmissionDescription,
  type CheckpointDescription,
  type CompletionDescription,
  type HeldTuple,
  knownSignal,
  type MarksDescription,
  type MovedDescription,
  toClient,
  toDeadLetter,
  toKey,
  toKeyTuple,
  toMarks,
  toRef,
  toRefTuple,
  toState,
  toStateTuple,
} from "./record-codec.ts";

interface LatestState {
  readonly change: StateChange;
  readonly segment: number;
  /** Of a deleted key: no segment behind this one holds an older value, so it is forgotten with the last one before. */
  readonly deletedIn: number;
}

/**
 * Every state is the log replayed: this is that state, kept up to date by the same calls while writing and while
 * replaying, so that the two cannot differ. It holds no payload bytes.
 */
export class LogState {
  /** The last completion that was noted (recent-file.ts) and stands in the log. */
  noted = 0;
  readonly ends = new KnownEnds();
  readonly #admissions = new Map<number, LiveAdmission>();
  readonly #segments = new Map<number, SegmentState>();
  readonly #states = new Map<string, LatestState>();
  readonly #marks = new LatestMarks<LiveEntry>();
  /** Of removed segments. */
  readonly #totals = new Map<string, number>();
  /** Of format version 1, as long as one of its checkpoints is carried on. */
  #failed: readonly (readonly [number, number])[] = [];
  /** Where a moved admission stands now. */
  readonly #movedTo = new Map<number, number>();

  addSegment(segment: number): void {
    if (!this.#segments.has(segment)) this.#segments.set(segment, newSegmentState());
  }

  /** Each record of a segment, whatever it says; before it is applied. */
  countRecord(sequence: number, segment: number): void {
    const state = this.#segment(segment);
    state.recordCount += 1;
    if (state.first === 0) state.first = sequence;
    state.last = sequence;
  }

  /**
   * Completions that a killed process noted and did not write into the log any more: they count as records of a segment
   * that has no file, and is dead, so that the first checkpoint carries them on.
   */
  applyNotes(notes: readonly NotedCompletion[]): void {
    for (const completion of notes) if (completion.note > this.noted) this.applyCompletion(completion, NO_FILE);
  }

  /** What the ledger counted in a segment that is missing, or of which records are. */
  restoreTotals(segment: number, totals: HeldTuple[5]): void {
    if (this.#segments.has(segment)) this.#segment(segment).totals = new Map(totals);
    else this.#addTotals(this.#totals, totals);
  }

  applyAdmission(sequence: number, description: AdmissionDescription, segment: number, payloadOffset: number): void {
    const { at, from, payloads, entries, evicted = NONE, seen = NONE, state = NONE, ledger = NONE } = description;
    if (entries.length > 0) {
      const places = placesOf(payloads, segment, payloadOffset);
      const live = entries.map((entry) => toLiveEntry(entry, places));
      this.#addAdmission(sequence, { admittedUnixMs: at, from, entries: live }, segment, places);
      for (let index = 0; index < entries.length; index += 1) {
        const letter = entries[index]![4];
        if (letter === undefined) continue;
        this.#marks.set(live[index]!, { ref: { sequence, index }, deadLetter: toDeadLetter(letter) }, segment);
      }
    }
    for (const tuple of evicted) this.#complete(toRef(tuple), segment);
    for (const tuple of seen) this.#segment(segment).seen.push(toKey(tuple));
    for (const tuple of state) this.#setState(toState(tuple), segment);
    this.#addTotals(this.#segment(segment).totals, ledger);
  }

  applyCompletion(completion: CompletionDescription, segment: number): void {
    this.noted = Math.max(this.noted, completion.note ?? 0);
    for (const tuple of completion.done) this.#complete(toRef(tuple), segment);
    this.#applyMarks(completion, segment);
    this.#addTotals(this.#segment(segment).totals, completion.ledger ?? []);
  }

  /** From now on the admission's entries are here; those that are not among them are done. */
  applyMoved(moved: MovedDescription, segment: number, offset: number): void {
    const { of, at, from, entries: tuples, payloads } = moved;
    const places = placesOf(payloads, segment, offset);
    const entries: (LiveEntry | undefined)[] = [];
    for (const [index, destination, signal, itemCount, payloadIndex] of tuples) {
      entries[index] = { destination, signal, itemCount, place: places[payloadIndex]! };
    }
    const former = this.#admissions.get(of);
    if (former !== undefined) this.#removeAdmission(of, former);
    this.#addAdmission(of, { admittedUnixMs: at, from, entries }, segment, places);
    this.#applyMarks(moved, segment);
    this.#segment(segment).moved.push(of);
    this.#movedTo.set(of, segment);
  }

  /** Its totals stand for all segments that were ever removed, whether their files have been read or not. */
  applyCheckpoint(checkpoint: CheckpointDescription, segment: number): void {
    for (const tuple of checkpoint.seen) this.#segment(segment).seen.push(toKey(tuple));
    for (const tuple of checkpoint.state) this.#setState(toState(tuple), segment);
    for (const tuple of checkpoint.done) this.#complete(toRef(tuple), segment);
    this.#applyMarks(checkpoint, segment);
    this.noted = Math.max(this.noted, checkpoint.noted ?? 0);
    this.#totals.clear();
    this.#addTotals(this.#totals, checkpoint.totals);
    this.#failed = checkpoint.failed ?? [];
    this.ends.apply(checkpoint.ends ?? [], segment);
    for (const removed of checkpoint.removed) this.#forgetSegment(removed);
  }

  hasSegment(segment: number): boolean {
    return this.#segments.has(segment);
  }

  /** What a log that was closed in order knew better than its files do now. */
  setTotals(totals: Iterable<readonly [string, number]>): void {
    const found = this.totals();
    for (const [counter, items] of totals)
      this.#addTotals(this.#totals, [[counter, items - (found.get(counter) ?? 0)]]);
  }

  /** An entry whose bytes are damaged: it is lost. undefined where it is done already. */
  lose(ref: EntryRef): Pick<LiveEntry, "destination" | "signal" | "itemCount"> | undefined {
    const entry = this.#admissions.get(ref.sequence)?.entries[ref.index];
    if (entry !== undefined) this.#complete(ref, undefined);
    return entry;
  }

  place(ref: EntryRef): { readonly place: PayloadPlace; readonly itemCount: number } | undefined {
    const entry = this.#admissions.get(ref.sequence)?.entries[ref.index];
    return entry === undefined ? undefined : { place: entry.place, itemCount: entry.itemCount };
  }

  /** Segments in which nothing is live, but for the active one. */
  deadSegments(active: number): readonly number[] {
    // Asked before each write: mostly there is the active one alone.
    if (this.#segments.size <= 1 && this.#segments.has(active)) return NONE;
    const dead: number[] = [];
    for (const [segment, { liveCount }] of this.#segments)
      if (liveCount === 0 && segment !== active) dead.push(segment);
    return dead;
  }

  recordCount(segment: number): number {
    return this.#segments.get(segment)?.recordCount ?? 0;
  }

  /** What stays when `removed` are gone, for the first record of a new segment. */
  describeHeld(removed: readonly number[], sizes: FilesOfLog["sizes"]): HeldTuple[] {
    const held: HeldTuple[] = [];
    for (const [segment, { recordCount, first, last, totals }] of this.#segments) {
      const size = sizes.get(segment);
      if (size === undefined || removed.includes(segment)) continue;
      held.push([segment, size, recordCount, first, last, [...totals]]);
    }
    return held;
  }

  liveBytes(segment: number): number {
    return this.#segments.get(segment)?.liveBytes ?? 0;
  }

  /** The oldest admissions that wait in a segment, up to `bytesMax` of their payloads, but at least one. */
  movable(segment: number, bytesMax: number): Movable[] {
    const found: Movable[] = [];
    let bytes = 0;
    let left = this.#segments.get(segment)?.liveCount ?? 0;
    for (const [sequence, admission] of this.#admissions) {
      if (left === 0) break;
      if (admission.segment !== segment) continue;
      if (bytes > 0 && bytes + admission.bytes > bytesMax) break;
      bytes += admission.bytes;
      left -= admission.liveCount;
      found.push(toMovable(sequence, admission, this.#marks));
    }
    return found;
  }

  /**
   * What a checkpoint must carry on before these segments go, and those that went before and whose files may still be
   * there. Changes nothing.
   */
  describeRemoval(removed: readonly number[], files: FilesOfLog, nowMs: number): CheckpointDescription {
    const going = new Set(removed);
    const totals = new Map(this.#totals);
    const states = removed.map((segment) => this.#segment(segment));
    for (const state of states) this.#addTotals(totals, [...state.totals]);
    // Only entries of a segment that stays could come back.
    const stays = (segment: number | undefined): boolean => segment !== undefined && !going.has(segment);
    const isNeeded = ({ sequence }: EntryRef): boolean =>
      stays(this.#movedTo.get(sequence)) || stays(this.#homeOf(sequence));
    return {
      removed: [...files.gone, ...removed],
      ...this.ends.describe(going, files),
      ...(this.#failed.length > 0 && { failed: this.#failed }),
      totals: [...totals],
      seen: states.flatMap(({ seen }) => seen.filter((key) => key.expiresUnixMs > nowMs).map(toKeyTuple)),
      state: states.flatMap((state) =>
        [...state.states]
          .map((key) => this.#states.get(key)!)
          .filter(({ change, deletedIn }) => change.value !== undefined || this.#hasUpTo(deletedIn, going))
          .map(({ change }) => toStateTuple(change)),
      ),
      done: states.flatMap(({ done }) => done.filter(isNeeded).map(toRefTuple)),
      ...this.#marks.describe(removed),
      ...(this.noted > 0 && { noted: this.noted }),
    };
  }

  tell(visitor: ReplayVisitor, nowMs: number): void {
    for (const [sequence, admission] of [...this.#admissions].toSorted(([a], [b]) => a - b)) {
      const client = toClient(admission.from);
      for (const [index, entry] of admission.entries.entries()) {
        const signal = entry === undefined ? undefined : knownSignal(entry.signal);
        if (entry === undefined || signal === undefined) continue;
        const { admittedUnixMs } = admission;
        const { destination, itemCount, place } = entry;
        const ref = { sequence, index };
        const told = { ref, destination, signal, itemCount, size: place.size, admittedUnixMs, client };
        const mark = this.#marks.get(entry);
        if (mark === undefined) visitor.entry(told);
        else if ("replay" in mark) visitor.entry({ ...told, replay: mark.replay });
        else visitor.letter({ ...told, deadLetter: mark.deadLetter });
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

  /** The segment whose records have it among them, so that a completion is carried on only while its admission's file stands. */
  #homeOf(sequence: number): number | undefined {
    for (const [segment, { first, last }] of this.#segments) if (sequence >= first && sequence <= last) return segment;
    return undefined;
  }

  #addAdmission(
    sequence: number,
    { admittedUnixMs, from, entries }: Pick<LiveAdmission, "admittedUnixMs" | "from" | "entries">,
    segment: number,
    places: readonly PayloadPlace[],
  ): void {
    let liveCount = 0;
    for (const entry of entries) if (entry !== undefined) liveCount += 1;
    let bytes = 0;
    for (const { size } of places) bytes += size;
    this.#admissions.set(sequence, { segment, bytes, admittedUnixMs, from, entries, liveCount });
    const state = this.#segment(segment);
    state.liveCount += liveCount;
    state.liveBytes += bytes;
  }

  #removeAdmission(sequence: number, { segment, liveCount, bytes, entries }: LiveAdmission): void {
    this.#admissions.delete(sequence);
    for (const entry of entries) if (entry !== undefined) this.#marks.delete(entry);
    const state = this.#segments.get(segment);
    if (state === undefined) return;
    state.liveCount -= liveCount;
    state.liveBytes -= bytes;
  }

  #forgetSegment(segment: number): void {
    for (const sequence of this.#segments.get(segment)?.moved ?? []) {
      if (this.#movedTo.get(sequence) === segment) this.#movedTo.delete(sequence);
    }
    // What a checkpoint carried on stands elsewhere by now.
    for (const key of this.#segments.get(segment)?.states ?? []) this.#states.delete(key);
    this.#segments.delete(segment);
    this.ends.delete(segment);
  }

  /** Whether a segment stays that is as old. */
  #hasUpTo(segment: number, going: ReadonlySet<number>): boolean {
    for (const other of this.#segments.keys()) if (other <= segment && !going.has(other)) return true;
    return false;
  }

  /** What is completed stays so. */
  #applyMarks(marks: MarksDescription, segment: number): void {
    for (const mark of toMarks(marks)) {
      const entry = this.#admissions.get(mark.ref.sequence)?.entries[mark.ref.index];
      if (entry !== undefined) this.#marks.set(entry, mark, segment);
    }
  }

  #complete(ref: EntryRef, bySegment: number | undefined): void {
    if (bySegment !== undefined) this.#segment(bySegment).done.push(ref);
    const admission = this.#admissions.get(ref.sequence);
    const entry = admission?.entries[ref.index];
    if (admission === undefined || entry === undefined) return;
    this.#marks.delete(entry);
    admission.entries[ref.index] = undefined;
    admission.liveCount -= 1;
    this.#segment(admission.segment).liveCount -= 1;
    if (admission.liveCount === 0) this.#removeAdmission(ref.sequence, admission);
  }

  #setState(change: StateChange, segment: number): void {
    const key = `${change.owner}\n${change.key}`;
    const former = this.#states.get(key);
    if (former !== undefined) this.#segments.get(former.segment)?.states.delete(key);
    const isDeletedAlready = former !== undefined && former.change.value === undefined;
    this.#states.set(key, { change, segment, deletedIn: isDeletedAlready ? former.deletedIn : segment });
    this.#segment(segment).states.add(key);
  }

  #segment(segment: number): SegmentState {
    this.addSegment(segment);
    return this.#segments.get(segment)!;
  }

  #addTotals(totals: Map<string, number>, deltas: Iterable<readonly [string, number]>): void {
    for (const delta of deltas) totals.set(delta[0], (totals.get(delta[0]) ?? 0) + delta[1]);
  }
}

/** Of what most records have none of. */
const NONE: readonly never[] = [];
