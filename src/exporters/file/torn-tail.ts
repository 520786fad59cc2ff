/**
 * Where a file's last whole record ends. A crash of the process leaves whole records, since a record that fails is cut
 * away at once; a crash of the machine, or one between the two, leaves the beginning of a record, or zeros.
 *
 * A file that this exporter cannot have written is never cut: pointing `path` at another file must not cost its data.
 */
import type { FileHandle } from "node:fs/promises";
import { type Framing, LENGTH_BYTES } from "./record-format.ts";

/** A record that is longer is none of ours: requests are 64 MiB at most, and JSON makes them a few times longer. */
const RECORD_BYTES_MAX = 512 * 1024 * 1024;

const CHUNK_BYTES = 64 * 1024;

/** A last line up to this size is read to see whether only its line break is missing. */
const LAST_LINE_BYTES_MAX = 64 * 1024 * 1024;

const NEWLINE = 0x0a;

export class ForeignFileError extends Error {
  override readonly name = "ForeignFileError";
}

export interface Tail {
  /** What stands behind it is no whole record. */
  readonly end: number;
  /** The last record is whole but for its line break. */
  readonly lacksNewline: boolean;
}

export function findTail(file: FileHandle, size: number, framing: Framing): Promise<Tail> {
  return framing === "lines" ? findLastLine(file, size) : findLastLength(file, size);
}

async function findLastLine(file: FileHandle, size: number): Promise<Tail> {
  const end = (await lastNewline(file, size)) + 1;
  if (end === size) return { end, lacksNewline: false };
  const first = await readAt(file, end, 1);
  if (first[0] !== 0x7b && first[0] !== 0) {
    throw new ForeignFileError("its last line is no OTLP JSON, so another program wrote it");
  }
  const isWhole = size - end <= LAST_LINE_BYTES_MAX && isJson(await readAt(file, end, size - end));
  return isWhole ? { end: size, lacksNewline: true } : { end, lacksNewline: false };
}

/** -1 where there is none. */
async function lastNewline(file: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const index = (await readAt(file, start, end - start)).lastIndexOf(NEWLINE);
    if (index >= 0) return start + index;
    end = start;
  }
  return -1;
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString("utf8"));
    return true;
  } catch {
    // That is the question here, not a failure.
    return false;
  }
}

/** From length to length: one read of 4 bytes a record. */
async function findLastLength(file: FileHandle, size: number): Promise<Tail> {
  let at = 0;
  while (at + LENGTH_BYTES <= size) {
    const length = (await readAt(file, at, LENGTH_BYTES)).readUInt32BE();
    if (length > RECORD_BYTES_MAX) {
      throw new ForeignFileError(`the record at byte ${at} has the length ${length}, so another program wrote it`);
    }
    // Zeros are what a crash of the machine leaves: no batch is empty.
    if (length === 0 || at + LENGTH_BYTES + length > size) break;
    at += LENGTH_BYTES + length;
  }
  return { end: at, lacksNewline: false };
}

/** Fewer bytes only where the file ends. */
async function readAt(file: FileHandle, position: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let end = 0;
  while (end < size) {
    const { bytesRead } = await file.read(bytes, end, size - end, position + end);
    if (bytesRead === 0) break;
    end += bytesRead;
  }
  return bytes.subarray(0, end);
}
