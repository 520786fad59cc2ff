import type { Logger } from "../../core/logger.ts";
import type { CommittedMark } from "./recent-file.ts";
import type { CheckpointDescription, HeldTuple } from "./record-codec.ts";
import { segmentName } from "./segment-files.ts";
import type { ReadSegment } from "./segment-reader.ts";

/** A segment that was read: its file is there. */
interface FoundSegment {
  readonly number: number;
  readonly read: ReadSegment;
  readonly checkpoints: readonly CheckpointDescription[];
}

/** What the log says that there is. Of the segment that was written last only the mark or closed.json knows. */
type Newest = Pick<CommittedMark, "segment" | "size" | "frameCount"> &
  Partial<Pick<CommittedMark, "firstSequence" | "nextSequence">>;

export interface Inventory {
  /** All that should be there, but for the newest, by number. */
  readonly held: ReadonlyMap<number, HeldTuple>;
  /** Numbers of those that are not. */
  readonly missing: readonly number[];
  /** False where what could say that they went in order is damaged or missing too. */
  readonly isCertain: boolean;
  /** The newest, where it is not there. */
  readonly missingNewest: Newest | undefined;
}

/**
 * Which segments there should be: the first record of each says which others there were, and the checkpoints behind it
 * which of these went since. Logs of older versions say nothing, and nothing of them is missed.
 */
export function takeInventory(segments: readonly FoundSegment[], newest: Newest | undefined): Inventory {
  let held: Map<number, HeldTuple> | undefined;
  let toldBy = 0;
  for (const { number, read, checkpoints } of segments) {
    held?.set(number, [number, 0, 0, 0, 0, []]);
    const { former } = read.fileHeader;
    if (former !== undefined && held?.has(former.segment) === false)
      held.set(former.segment, [former.segment, former.size, former.frameCount, 0, 0, []]);
    for (const { holds, removed } of checkpoints) {
      if (holds !== undefined) {
        held = new Map(holds.map((tuple) => [tuple[0], tuple]));
        toldBy = number;
      }
      for (const gone of removed) held?.delete(gone);
    }
  }
  const found = new Set(segments.map(({ number }) => number));
  const last = segments.at(-1)?.number ?? 0;
  const missingNewest = newest !== undefined && newest.segment > last ? newest : undefined;
  const isWhole = segments.every(
    ({ number, read }) => number < toldBy || read.damaged.every(({ kind }) => kind !== "lost"),
  );
  return {
    held: held ?? new Map(),
    missing: [...(held?.keys() ?? [])].filter((number) => !found.has(number) && number !== missingNewest?.segment),
    isCertain: isWhole && missingNewest === undefined,
    missingNewest,
  };
}

/** Of a folder that lost a thousand files each line says the same. */
const LINES_MAX = 10;

const COST = "what of them was not delivered is lost, and what they noted as delivered may be sent again";

/** The ledger names the destinations, whose totals stand elsewhere too. */
export function sayMissing(
  { held, missing, isCertain, missingNewest }: Inventory,
  folder: string,
  logger: Logger,
): void {
  for (const number of missing.slice(0, LINES_MAX)) {
    const [, size, recordCount, first, last] = held.get(number)!;
    const what = describeRecords(recordCount, first, last, size);
    if (isCertain) logger.error(`${folder}/${segmentName(number)} is missing: ${what}; ${COST}`);
    else logger.warn(`${folder}/${segmentName(number)} is not there: ${what}; ${UNCERTAIN}`);
  }
  if (missing.length > LINES_MAX)
    logger.error(`${missing.length - LINES_MAX} more queue files are missing in ${folder}`);
  if (missingNewest === undefined) return;
  const { segment, size, frameCount, firstSequence = 0, nextSequence = 0 } = missingNewest;
  const what = describeRecords(frameCount, firstSequence, nextSequence - 1, size);
  const whose = "whose they were is not known";
  logger.error(
    `${folder}/${segmentName(segment)} is missing, the queue file that was written last: ${what}; ${COST}; ${whose}`,
  );
}

const UNCERTAIN = "it went in order when nothing in it waited, or is missing: what would say so is gone too";

function describeRecords(count: number, first: number, last: number, bytes: number): string {
  const numbers = first > 0 && last >= first ? ` (${first} to ${last})` : "";
  return `${count} records${numbers}, ${bytes} bytes`;
}
