import { crc32 } from "node:zlib";
import type { DiskFile } from "./disk.ts";
import { FileWindow } from "./file-window.ts";
import {
  copyOffset,
  decodeCopyHeader,
  decodeFileHeader,
  decodeFrameHeader,
  FILE_HEADER_BYTES,
  type FileHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  frameSize,
  headSize,
  isFrameHeadWhole,
  type SegmentEnd,
} from "./format.ts";
import { parseDescription, payloadsOf } from "./record-codec.ts";

export interface ReadFrame {
  readonly header: FrameHeader;
  /** JSON as it stands in the file; parseDescription() reads it. */
  readonly description: Buffer;
  /** Where the first payload begins in the file. */
  readonly payloadOffset: number;
  /** Indexes into the description's payloads. */
  readonly damagedPayloads: readonly number[];
}

/**
 * What is wrong with some bytes of a segment.
 * spared: the frame is read all the same, since its description stands twice.
 * lost: no whole frame can be made of them; `records` of them, as far as sequence numbers tell.
 * torn: the file ends before its last frame does. What a crash leaves, and then its sender was never answered; a file
 *   that was cut off looks the same. `frame`: what the frame said it was.
 */
export interface DamagedRange {
  readonly kind: "spared" | "lost" | "torn";
  readonly from: number;
  readonly to: number;
  readonly records: number;
  readonly frame?: ReadFrame;
}

export interface ReadSegment {
  readonly fileHeader: FileHeader;
  readonly frames: readonly ReadFrame[];
  readonly damaged: readonly DamagedRange[];
  /** Behind the last whole frame. */
  readonly end: Omit<SegmentEnd, "segment">;
}

/**
 * Reads a whole segment and checks every checksum. Damage costs what it hits; the next frame is looked for behind it.
 * `sizeMax`: of its bytes only these count, where that is known.
 */
export async function readSegment(file: DiskFile, sizeMax = Number.POSITIVE_INFINITY): Promise<ReadSegment> {
  const size = Math.min(await file.size(), sizeMax);
  const window = new FileWindow(file, size);
  const fileHeader = decodeFileHeader(await window.read(0, FILE_HEADER_BYTES));
  const { verdict } = fileHeader;
  if (verdict === "newer" || verdict === "foreign") {
    return { fileHeader, frames: [], damaged: [], end: { size, frameCount: 0 } };
  }
  const reading = new SegmentReading(window);
  // One without any byte is what a crash leaves between making and writing a file: nothing is lost with it.
  if (verdict === "damaged" && size >= FILE_HEADER_BYTES) reading.note("spared", 0, FILE_HEADER_BYTES);
  await reading.readAll();
  return { fileHeader, frames: reading.frames, damaged: reading.damaged, end: reading.end };
}

/** One pass over a segment, from front to back. */
class SegmentReading {
  readonly frames: ReadFrame[] = [];
  readonly damaged: DamagedRange[] = [];
  readonly #window: FileWindow;
  #offset = FILE_HEADER_BYTES;
  #endOfFrames = FILE_HEADER_BYTES;
  /** Index in `damaged` of ranges that the next frame's sequence number tells the records of. */
  #openRange: number | undefined;

  constructor(window: FileWindow) {
    this.#window = window;
  }

  get end(): ReadSegment["end"] {
    return { size: this.#endOfFrames, frameCount: this.frames.length };
  }

  async readAll(): Promise<void> {
    while (this.#offset < this.#window.size) {
      const head = await this.#readHead(this.#offset, decodeFrameHeader);
      if (head === undefined) await this.#skipDamage();
      else if (this.#fits(head)) await this.#take(head, this.#offset);
      else await this.#takeTorn(head);
    }
  }

  note(kind: DamagedRange["kind"], from: number, to: number, frame?: ReadFrame): void {
    this.damaged.push({ kind, from, to, records: kind === "lost" ? 1 : 0, ...(frame && { frame }) });
  }

  /** Header and description at `offset`, where both are whole. */
  async #readHead(
    offset: number,
    decode: (bytes: Buffer, offset: number) => FrameHeader | undefined,
  ): Promise<Head | undefined> {
    const header = decode(await this.#window.read(offset, FRAME_HEADER_BYTES), 0);
    if (header === undefined || offset + headSize(header) > this.#window.size) return undefined;
    const head = await this.#window.read(offset, headSize(header));
    if (!isFrameHeadWhole(header, head) || !this.#isNext(header.sequence)) return undefined;
    return { header, description: Buffer.from(head.subarray(FRAME_HEADER_BYTES)) };
  }

  /** Sequence numbers rise in a segment: what looks like a frame inside of a payload seldom has one that fits. */
  #isNext(sequence: number): boolean {
    const last = this.frames.at(-1)?.header.sequence;
    if (last === undefined) return true;
    const recordsMax = (this.#window.size - this.#endOfFrames) / FRAME_HEADER_BYTES;
    return sequence > last && sequence - last <= Math.max(recordsMax, 1);
  }

  #fits({ header }: Head): boolean {
    return this.#offset + headSize(header) + header.payloadSize <= this.#window.size;
  }

  /** The frame that begins at `start`, whose description is whole. */
  async #take(head: Head, start: number): Promise<void> {
    const { header } = head;
    this.#tellRecords(header.sequence);
    this.frames.push(await this.#complete(head, start));
    const copyFrom = start + copyOffset(header);
    const end = start + frameSize(header);
    if (header.hasCopy && !(await this.#hasCopy(head, copyFrom))) {
      const to = Math.min(copyFrom + headSize(header), this.#window.size);
      this.note("spared", Math.min(copyFrom, to), to);
    }
    this.#offset = end;
    this.#endOfFrames = Math.min(end, this.#window.size);
  }

  async #complete({ header, description }: Head, start: number): Promise<ReadFrame> {
    const payloadOffset = start + headSize(header);
    const damagedPayloads: number[] = [];
    let offset = payloadOffset;
    for (const [index, [size, checksum]] of payloadsOf(header.kind, parseDescription(description)).entries()) {
      if (crc32(await this.#window.read(offset, size)) !== checksum) damagedPayloads.push(index);
      offset += size;
    }
    return { header, description, payloadOffset, damagedPayloads };
  }

  async #hasCopy({ header, description }: Head, offset: number): Promise<boolean> {
    const copy = await this.#readCopy(offset);
    return copy?.header.checksum === header.checksum && copy.description.equals(description);
  }

  async #readCopy(offset: number): Promise<Head | undefined> {
    const header = decodeCopyHeader(await this.#window.read(offset, FRAME_HEADER_BYTES), 0);
    if (header === undefined) return undefined;
    const head = await this.#window.read(offset, headSize(header));
    if (head.length < headSize(header) || !isFrameHeadWhole(header, head)) return undefined;
    return { header, description: Buffer.from(head.subarray(FRAME_HEADER_BYTES)) };
  }

  /** The file ends inside of the frame at `#offset`. (A frame whose length was damaged has no whole head.) */
  async #takeTorn(head: Head): Promise<void> {
    const { size } = this.#window;
    const frame = await this.#complete(head, this.#offset);
    this.note("torn", this.#offset, size, frame);
    this.#offset = size;
  }

  /** No frame begins at `#offset`: goes on at the next place where one does, or where the copy of one stands. */
  async #skipDamage(): Promise<void> {
    const from = this.#offset;
    const found = await this.#find(from + 8);
    if (found?.isCopy === true) {
      if (found.start > from) this.note("lost", from, found.start);
      this.note("spared", found.start, found.start + headSize(found.head.header));
      await this.#take(found.head, found.start);
      return;
    }
    const to = found?.start ?? this.#window.size;
    const isTorn = found === undefined && (await this.#endsEarly(from));
    if (!isTorn) this.#openRange = this.damaged.length;
    this.note(isTorn ? "torn" : "lost", from, to);
    this.#offset = to;
  }

  /** The next frame tells by its number how many records stood in the range before it. */
  #tellRecords(sequence: number): void {
    const range = this.#openRange;
    this.#openRange = undefined;
    const last = this.frames.at(-1)?.header.sequence;
    if (range === undefined || last === undefined) return;
    this.damaged[range] = { ...this.damaged[range]!, records: sequence - last - 1 };
  }

  /** Whether what stands at `offset` says that it is longer than the rest of the file. */
  async #endsEarly(offset: number): Promise<boolean> {
    const rest = this.#window.size - offset;
    const header = decodeFrameHeader(await this.#window.read(offset, FRAME_HEADER_BYTES), 0);
    return header === undefined ? rest < FRAME_HEADER_BYTES : frameSize(header) > rest;
  }

  /** The first place from `from` on, a multiple of 8, where a whole frame begins or the copy of one stands. */
  async #find(from: number): Promise<Found | undefined> {
    for (let chunkFrom = from; chunkFrom < this.#window.size; chunkFrom += SEARCH_BYTES) {
      // With the header of a frame that begins at the chunk's end. Its own bytes: readHead() moves the window.
      const chunk = Buffer.from(await this.#window.read(chunkFrom, SEARCH_BYTES + FRAME_HEADER_BYTES));
      for (let at = 0; at < Math.min(SEARCH_BYTES, chunk.length); at += 8) {
        const found = await this.#foundAt(chunk, at, chunkFrom + at);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }

  async #foundAt(chunk: Buffer, at: number, offset: number): Promise<Found | undefined> {
    if (decodeFrameHeader(chunk, at) !== undefined) {
      const head = await this.#readHead(offset, decodeFrameHeader);
      return head && { head, start: offset, isCopy: false };
    }
    if (decodeCopyHeader(chunk, at) === undefined) return undefined;
    const head = await this.#readHead(offset, decodeCopyHeader);
    if (head === undefined) return undefined;
    const start = offset - copyOffset(head.header);
    // A copy whose frame began before the damage is not one of ours: that frame would have been read.
    return start < this.#offset ? undefined : { head, start, isCopy: true };
  }
}

interface Head {
  readonly header: FrameHeader;
  readonly description: Buffer;
}

interface Found {
  readonly head: Head;
  readonly start: number;
  readonly isCopy: boolean;
}

const SEARCH_BYTES = 256 * 1024;
