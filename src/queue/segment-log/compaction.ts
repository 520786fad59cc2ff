/**
 * When the rest of an old segment is written anew. An entry that waits for hours (a destination that is away, beside one
 * that takes its data) keeps its whole segment on the disk; docs/decisions/0011-compaction.md has the figures.
 */

/** So much of the files may be of no use before anything is moved: segments that drain by themselves soon are left alone. */
const WASTED_SEGMENTS_MAX = 4;
/** Only segments that are at most this full are moved: each byte written makes room for three. */
const LIVE_SHARE_MAX = 0.25;
/** Written with one group beside what it writes anyway; a sender waits some milliseconds longer. */
export const MOVED_BYTES_MAX = 1024 * 1024;

interface SegmentLoad {
  readonly segment: number;
  readonly size: number;
  readonly liveBytes: number;
}

/** The segment that gives most room for least writing; undefined where the files waste little. `segments`: without the active one. */
export function segmentToCompact(segments: readonly SegmentLoad[], segmentBytes: number): number | undefined {
  let wasted = 0;
  let best: SegmentLoad | undefined;
  for (const load of segments) {
    wasted += load.size - load.liveBytes;
    const isCandidate = load.liveBytes > 0 && load.liveBytes <= load.size * LIVE_SHARE_MAX;
    if (isCandidate && (best === undefined || load.liveBytes < best.liveBytes)) best = load;
  }
  return wasted > WASTED_SEGMENTS_MAX * segmentBytes ? best?.segment : undefined;
}
