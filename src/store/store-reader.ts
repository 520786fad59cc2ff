import { QueryBudget } from "./query-budget.ts";
import { isMissing, listSegments } from "./segment-folder.ts";
import type { SegmentFile } from "./segment-folder.ts";
import { SegmentReader } from "./segment-reader.ts";
import { isDamage } from "./sqlite-error.ts";
import { StoreError } from "./store-error.ts";

/** Open segments a reader keeps; each costs a cache, file handles and about a millisecond to open again. */
const SEGMENTS_OPEN_MAX = 32;

/**
 * The store as it is read: the segments of a folder, opened when needed. Synchronous; lives in a reader thread, or in
 * the command line where no gateway runs. The folder is listed anew for each query: the writer adds and removes files.
 */
export class StoreReader {
  readonly #directory: string;
  readonly #budget: QueryBudget;
  readonly #open = new Map<string, SegmentReader>();
  #damaged: number[] = [];

  constructor(directory: string, monotonicMs: () => number) {
    this.#directory = directory;
    this.#budget = new QueryBudget(monotonicMs);
  }

  /** Starts a query that may take this long. */
  begin(budgetMs: number): void {
    this.#budget.begin(budgetMs);
    this.#damaged = [];
  }

  /** Sequences of segments that turned out damaged since `begin`: the answer lacks their records. */
  get damaged(): readonly number[] {
    return this.#damaged;
  }

  /** Closes what the writer has removed. */
  refresh(): void {
    this.#closeMissing(listSegments(this.#directory));
  }

  /**
   * Calls `visit` for each segment, newest first, until it returns false. A segment that turns out damaged is left out
   * and noted; whatever `visit` has gathered from it must not be used, so it should gather per segment and add at the end.
   */
  visitSegments(visit: (segment: SegmentReader) => boolean | void): void {
    const files = listSegments(this.#directory);
    this.#closeMissing(files);
    for (const file of files.toReversed()) {
      if (file.isDamaged) continue;
      if (this.#visitOne(file, visit) === false) return;
    }
  }

  close(): void {
    for (const segment of this.#open.values()) segment.close();
    this.#open.clear();
  }

  #visitOne(file: SegmentFile, visit: (segment: SegmentReader) => boolean | void): boolean | void {
    try {
      const segment = this.#openSegment(file);
      return segment === undefined ? true : visit(segment);
    } catch (error) {
      if (error instanceof StoreError) throw error;
      // Pruned between listing and opening.
      if (isMissing(error) || !this.#isThere(file)) return true;
      if (!isDamage(error)) throw error;
      this.#damaged.push(file.sequence);
      this.#forget(file.path);
      return true;
    }
  }

  #openSegment(file: SegmentFile): SegmentReader | undefined {
    const known = this.#open.get(file.path);
    if (known !== undefined) return known;
    const oldest = this.#open.keys().next().value;
    if (this.#open.size >= SEGMENTS_OPEN_MAX && oldest !== undefined) this.#forget(oldest);
    const opened = SegmentReader.open(file.path, file.sequence, this.#budget);
    if (opened !== undefined) this.#open.set(file.path, opened);
    return opened;
  }

  #isThere(file: SegmentFile): boolean {
    return listSegments(this.#directory).some(({ path }) => path === file.path);
  }

  #closeMissing(files: readonly SegmentFile[]): void {
    const paths = new Set(files.map((file) => file.path));
    for (const path of this.#open.keys()) if (!paths.has(path)) this.#forget(path);
  }

  #forget(path: string): void {
    this.#open.get(path)?.close();
    this.#open.delete(path);
  }
}
