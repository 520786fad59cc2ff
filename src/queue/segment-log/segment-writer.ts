import type { Disk, SyncedFile } from "./disk.ts";
import { encodeFileHeader, type EncodedFrame, FILE_HEADER_BYTES, type SegmentEnd } from "./format.ts";
import { codeOf, type SegmentFiles, segmentName } from "./segment-files.ts";

interface SegmentWriterSettings {
  readonly disk: Disk;
  readonly folder: string;
  readonly files: SegmentFiles;
  /** A new file is begun beyond this. */
  readonly segmentBytes: number;
}

interface Active {
  readonly segment: number;
  readonly file: SyncedFile;
  /** As its header says it. */
  readonly former: SegmentEnd | undefined;
  /** Where the next frame goes; everything before it is synced. */
  size: number;
  frameCount: number;
}

interface Place {
  readonly segment: number;
  readonly offset: number;
  /** How far the segment before it counts: its header says so. */
  readonly former: SegmentEnd | undefined;
}

/**
 * Writes groups of frames, each with one synced write; a group counts only after it. If it fails the segment is closed and
 * never written or synced again: a second fdatasync may report success for pages that are gone. The next segment's header
 * says how far the failed one counts, so that what may stand behind that is not read; where that next one goes first, a
 * checkpoint says it (known-ends.ts).
 */
export class SegmentWriter {
  readonly #settings: SegmentWriterSettings;
  #active: Active | undefined;
  #former: SegmentEnd | undefined;
  #lastSegment = 0;

  constructor(settings: SegmentWriterSettings) {
    this.#settings = settings;
  }

  /** What a former process left, before the first write. */
  adopt(lastSegment: number, end: SegmentEnd | undefined): void {
    this.#lastSegment = lastSegment;
    this.#former = end;
  }

  /** The segment that is written to; 0 where none is. */
  get segment(): number {
    return this.#active?.segment ?? 0;
  }

  /** The next write begins a segment. */
  get isBetweenSegments(): boolean {
    return this.#active === undefined || this.#active.size >= this.#settings.segmentBytes;
  }

  /** How far the newest segment counts. */
  get end(): SegmentEnd | undefined {
    if (this.#active === undefined) return this.#former;
    const { segment, size, frameCount } = this.#active;
    return { segment, size, frameCount };
  }

  /** Resolves with the first frame's place once all are safe. */
  async write(frames: readonly EncodedFrame[]): Promise<Place> {
    try {
      return await this.#writeOnce(frames);
    } catch (error) {
      // A bound of the process or of the file system on one file (`ulimit -f`): the next file has room.
      if (codeOf(error) !== "EFBIG") throw error;
      return this.#writeOnce(frames);
    }
  }

  async #writeOnce(frames: readonly EncodedFrame[]): Promise<Place> {
    const active = this.#active === undefined || this.isBetweenSegments ? await this.#begin() : this.#active;
    const offset = active.size;
    try {
      await active.file.write(frames.length === 1 ? frames[0]!.slices : slicesOf(frames), offset);
    } catch (error) {
      await this.#abandon(active);
      throw error;
    }
    for (const { size } of frames) active.size += size;
    active.frameCount += frames.length;
    this.#settings.files.setSize(active.segment, active.size);
    return { segment: active.segment, offset, former: active.former };
  }

  async close(): Promise<void> {
    const active = this.#active;
    this.#former = this.end;
    this.#active = undefined;
    await active?.file.close();
  }

  async #begin(): Promise<Active> {
    // Closed first: should anything here fail, the next group tries with another new file.
    await this.close();
    const segment = ++this.#lastSegment;
    const { disk, folder, files } = this.#settings;
    const file = await disk.createSynced(folder, segmentName(segment));
    const former = this.#former;
    try {
      await file.write([encodeFileHeader(segment, former)], 0);
      await disk.syncFolder(folder);
    } catch (error) {
      await this.#discard(segment, file);
      throw error;
    }
    files.setSize(segment, FILE_HEADER_BYTES);
    this.#active = { segment, file, former, size: FILE_HEADER_BYTES, frameCount: 0 };
    return this.#active;
  }

  /** What is on the disk behind `active.size` is not known now. */
  async #abandon(active: Active): Promise<void> {
    this.#active = undefined;
    const { segment, file, size, frameCount } = active;
    if (frameCount === 0 && (await this.#discard(segment, file))) return;
    this.#former = { segment, size, frameCount };
    // Cut back only for the room: the next header says how far it counts.
    await ignoringFailure(file.truncate(size));
    await ignoringFailure(file.close());
  }

  /** A file in which nothing counts must not stay: a full disk would gather one with each attempt. */
  async #discard(segment: number, file: SyncedFile): Promise<boolean> {
    const { disk, folder, files } = this.#settings;
    await ignoringFailure(file.close());
    const isRemoved = await ignoringFailure(disk.remove(folder, segmentName(segment)));
    if (isRemoved) files.forget(segment);
    return isRemoved;
  }
}

function slicesOf(frames: readonly EncodedFrame[]): readonly Uint8Array[] {
  const slices: Uint8Array[] = [];
  for (const frame of frames) for (const slice of frame.slices) slices.push(slice);
  return slices;
}

/** On a way out of a failure that is reported already: false where this fails too. */
function ignoringFailure(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
