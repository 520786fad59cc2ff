import type { SegmentEnd } from "./format.ts";
import { type EndTuple, toEnd, toEndTuple } from "./record-codec.ts";

/** Which files a log has, and which of its files may still be there although they count no more. */
export interface FilesOfLog {
  readonly sizes: ReadonlyMap<number, number>;
  readonly gone: readonly number[];
}

/**
 * How far segments count, and the segment that says so: the next one in its header, or a checkpoint. Before that goes, a
 * checkpoint carries it on, as long as there is a file that it speaks of: behind its end may stand a refused request that
 * could not be cut off.
 */
export class KnownEnds {
  readonly #ends = new Map<number, { readonly end: SegmentEnd; readonly by: number }>();

  set(end: SegmentEnd, by: number): void {
    this.#ends.set(end.segment, { end, by });
  }

  /** Of a segment that counts no more at all. */
  delete(segment: number): void {
    this.#ends.delete(segment);
  }

  /** What stands in the segments that go, about others. */
  describe(going: ReadonlySet<number>, { sizes, gone }: FilesOfLog): { readonly ends?: readonly EndTuple[] } {
    const ends: EndTuple[] = [];
    for (const [segment, { end, by }] of this.#ends) {
      const stays = sizes.has(segment) && !going.has(segment) && !gone.includes(segment);
      if (stays && going.has(by)) ends.push(toEndTuple(end));
    }
    return ends.length > 0 ? { ends } : {};
  }

  apply(ends: readonly EndTuple[], by: number): void {
    for (const tuple of ends) this.set(toEnd(tuple), by);
  }
}
