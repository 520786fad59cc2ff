import type { EntryMark } from "../storage.ts";
import { describeMarks, type MarksDescription } from "./record-codec.ts";

/**
 * The latest mark of each entry that is a dead letter, or was, and the segment whose record says so: before that segment
 * goes, a checkpoint carries the mark on. Beside the entries, since the million that wait have none.
 */
export class LatestMarks<Entry> {
  readonly #marks = new Map<Entry, { readonly mark: EntryMark; readonly segment: number }>();
  readonly #bySegment = new Map<number, Set<Entry>>();

  get(entry: Entry): EntryMark | undefined {
    return this.#marks.get(entry)?.mark;
  }

  set(entry: Entry, mark: EntryMark, segment: number): void {
    this.delete(entry);
    this.#marks.set(entry, { mark, segment });
    const here = this.#bySegment.get(segment);
    if (here === undefined) this.#bySegment.set(segment, new Set([entry]));
    else here.add(entry);
  }

  delete(entry: Entry): void {
    const former = this.#marks.get(entry);
    if (former === undefined) return;
    this.#marks.delete(entry);
    const there = this.#bySegment.get(former.segment);
    there?.delete(entry);
    if (there?.size === 0) this.#bySegment.delete(former.segment);
  }

  /** What stands in these segments and nowhere behind them. */
  describe(segments: readonly number[]): MarksDescription {
    const entries = segments.flatMap((segment) => [...(this.#bySegment.get(segment) ?? [])]);
    return this.describeEntries(entries);
  }

  describeEntries(entries: readonly (Entry | undefined)[]): MarksDescription {
    return describeMarks(entries.flatMap((entry) => (entry === undefined ? [] : (this.get(entry) ?? []))));
  }
}
