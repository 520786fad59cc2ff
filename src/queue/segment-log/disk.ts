import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

/** What the log asks of a file system. Tests put one in its place that fails, tears writes and forgets what was not synced. */
export interface Disk {
  /** Names of the files in the folder. */
  list(folder: string): Promise<string[]>;
  /** A new file for writing and reading; rejects where it exists. */
  create(folder: string, name: string): Promise<DiskFile>;
  openForReading(folder: string, name: string): Promise<DiskFile>;
  remove(folder: string, name: string): Promise<void>;
  /** Writes a whole small file beside the log, for people. */
  writeFile(folder: string, name: string, bytes: Uint8Array): Promise<void>;
  /** Makes created and removed names survive a power cut. */
  syncFolder(folder: string): Promise<void>;
}

export interface DiskFile {
  size(): Promise<number>;
  /** Writes all slices one after another at `position`, or rejects with some of the bytes written. */
  write(slices: readonly Uint8Array[], position: number): Promise<void>;
  /** fdatasync: resolves when what was written survives a power cut. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  /**
   * Fewer bytes than asked for only at the end of the file. `into`: memory of at least `size` bytes that may be used for
   * them; a file that is read from front to back then costs one buffer, not its size in garbage.
   */
  read(position: number, size: number, into?: Buffer): Promise<Buffer>;
  close(): Promise<void>;
}

/** The most slices that one writev() takes (IOV_MAX on Linux). */
const SLICES_PER_WRITE_MAX = 1024;

export const nodeDisk: Disk = {
  list: (folder) => readdir(folder),
  create: async (folder, name) => {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
    return new NodeFile(await open(join(folder, name), flags, 0o600));
  },
  openForReading: async (folder, name) => new NodeFile(await open(join(folder, name), "r")),
  remove: (folder, name) => unlink(join(folder, name)),
  writeFile: async (folder, name, bytes) => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const handle = await open(join(folder, `${name}.new`), "w", 0o600);
    try {
      await handle.writeFile(bytes);
    } finally {
      await handle.close();
    }
    await rename(join(folder, `${name}.new`), join(folder, name));
  },
  syncFolder: async (folder) => {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

class NodeFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async write(slices: readonly Uint8Array[], position: number): Promise<void> {
    let at = position;
    for (let start = 0; start < slices.length; start += SLICES_PER_WRITE_MAX) {
      at = await this.#writeAll(slices.slice(start, start + SLICES_PER_WRITE_MAX), at);
    }
  }

  /** writev() may write less than it was given: the rest is written again from where it stopped. */
  async #writeAll(slices: Uint8Array[], position: number): Promise<number> {
    let rest = slices;
    let at = position;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, at);
      if (bytesWritten === 0) throw new Error("the disk takes no more bytes");
      at += bytesWritten;
      rest = dropBytes(rest, bytesWritten);
    }
    return at;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(size: number): Promise<void> {
    return this.#handle.truncate(size);
  }

  async read(position: number, size: number, into?: Buffer): Promise<Buffer> {
    const buffer = into ?? Buffer.allocUnsafe(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await this.#handle.read(buffer, filled, size - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function dropBytes(slices: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  let index = 0;
  while (index < slices.length && left >= slices[index]!.length) left -= slices[index++]!.length;
  const rest = slices.slice(index);
  if (left > 0) rest[0] = rest[0]!.subarray(left);
  return rest;
}
