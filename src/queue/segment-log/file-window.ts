import type { DiskFile } from "./disk.ts";

/** Read at once: a segment of small records is read by some tens of calls, not by three for each record. */
const WINDOW_BYTES = 1024 * 1024;
/** What a disk cannot read is narrowed down to this: the unit of most file systems. */
const BLOCK_BYTES = 4096;

/**
 * Reads a file from front to back. Blocks that the disk cannot give are zeros, so that a bad sector costs what lies in
 * it: the checksums find it like any other damage.
 */
export class FileWindow {
  readonly size: number;
  readonly #file: DiskFile;
  /** Used again for every window of the usual size. */
  readonly #memory: Buffer;
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;

  /** Behind `size` is nothing, as far as the reader is concerned. */
  constructor(file: DiskFile, size: number) {
    this.#file = file;
    this.size = size;
    this.#memory = Buffer.allocUnsafe(Math.min(size, WINDOW_BYTES));
  }

  /** The bytes from `offset` on, fewer at the end; valid until the next call. */
  async read(offset: number, size: number): Promise<Buffer> {
    const wanted = Math.max(Math.min(size, this.size - offset), 0);
    if (offset < this.#from || offset + wanted > this.#from + this.#bytes.length) {
      this.#bytes = await this.#load(offset, Math.min(Math.max(wanted, WINDOW_BYTES), this.size - offset));
      this.#from = offset;
    }
    return this.#bytes.subarray(offset - this.#from, offset - this.#from + wanted);
  }

  async #load(offset: number, size: number): Promise<Buffer> {
    try {
      return await this.#file.read(offset, size, size <= this.#memory.length ? this.#memory : undefined);
    } catch (error) {
      if (!isReadError(error)) throw error;
      return this.#loadBlocks(offset, size);
    }
  }

  async #loadBlocks(offset: number, size: number): Promise<Buffer> {
    const bytes = Buffer.alloc(size);
    for (let at = offset; at < offset + size;) {
      const end = Math.min((Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES, offset + size);
      const block = await this.#file.read(at, end - at).catch((error: unknown) => {
        if (isReadError(error)) return Buffer.alloc(end - at);
        throw error;
      });
      block.copy(bytes, at - offset);
      at = end;
    }
    return bytes;
  }
}

function isReadError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EIO";
}
