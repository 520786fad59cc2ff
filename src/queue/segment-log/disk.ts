import { constants, writeSync, writev } from "node:fs";
import { type FileHandle, open, readdir, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { createFolder } from "../../core/create-folder.ts";

/** What the log asks of a file system. Tests put one in its place that fails, tears writes and forgets what was not synced. */
export interface Disk {
  /** Names of the files in the folder. */
  list(folder: string): Promise<string[]>;
  /** A new file for writing and reading; rejects where it exists. */
  create(folder: string, name: string): Promise<WrittenFile>;
  /** The same for a file whose writes are synced each. */
  createSynced(folder: string, name: string): Promise<SyncedFile>;
  openForReading(folder: string, name: string): Promise<DiskFile>;
  /** One that exists, for writing and reading. */
  openForWriting(folder: string, name: string): Promise<WrittenFile>;
  remove(folder: string, name: string): Promise<void>;
  /** Writes a whole small file beside the log, for people. */
  writeFile(folder: string, name: string, bytes: Uint8Array): Promise<void>;
  /** Makes created and removed names survive a power cut. */
  syncFolder(folder: string): Promise<void>;
  /** Another one after each start of the operating system; "" where it has none. */
  bootId(): Promise<string>;
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

export interface WrittenFile extends DiskFile {
  /**
   * Hands bytes over to the operating system before it returns: they outlive the process, and not a power cut. For a few
   * bytes over old ones: 2 us of CPU, where a write through Node's threads costs 23 us.
   */
  writeNow(bytes: Uint8Array, position: number): void;
}

export interface SyncedFile {
  /**
   * Writes all slices one after another at `position` and resolves when they survive a power cut, or rejects with some of
   * the bytes written.
   */
  write(slices: readonly Uint8Array[], position: number): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** The slow way, and the definition of the fast one: a write, and a sync. */
export function syncedFile(file: DiskFile): SyncedFile {
  return {
    write: async (slices, position) => {
      await file.write(slices, position);
      await file.sync();
    },
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  };
}

/** The most slices that one writev() takes (IOV_MAX on Linux). */
const SLICES_PER_WRITE_MAX = 1024;

/**
 * A write to a file opened so is a write and an fdatasync in one system call: one way to Node's threads and back instead of
 * two. Linux only, where the two are the same: macOS has the flag and does not ask the disk to empty its cache.
 */
const SYNCED_WRITES = process.platform === "linux" ? constants.O_DSYNC : undefined;

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;

export const nodeDisk: Disk = {
  list: (folder) => readdir(folder),
  create: async (folder, name) => new NodeFile(await open(join(folder, name), NEW_FILE, 0o600)),
  createSynced: async (folder, name) => {
    if (SYNCED_WRITES === undefined) return syncedFile(await nodeDisk.create(folder, name));
    return new NodeSyncedFile(await open(join(folder, name), NEW_FILE | SYNCED_WRITES, 0o600));
  },
  openForReading: async (folder, name) => new NodeFile(await open(join(folder, name), "r")),
  openForWriting: async (folder, name) => new NodeFile(await open(join(folder, name), constants.O_RDWR)),
  remove: (folder, name) => unlink(join(folder, name)),
  writeFile: async (folder, name, bytes) => {
    createFolder(folder, 0o700);
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
  bootId: async () => {
    try {
      return (await readFile(BOOT_ID_PATH, "utf8")).trim();
    } catch {
      // Not Linux, or no /proc: what depends on it is then not known.
      return "";
    }
  },
};

/** https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html: a container has its host's. */
const BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id";

class NodeFile implements WrittenFile {
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

  writeNow(bytes: Uint8Array, position: number): void {
    let written = 0;
    while (written < bytes.length) {
      const count = writeSync(this.#handle.fd, bytes, written, bytes.length - written, position + written);
      if (count === 0) throw new Error("the disk takes no more bytes");
      written += count;
    }
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

/** One write at a time, and none while it is closed: the handle does not know of those that are under way. */
class NodeSyncedFile implements SyncedFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(slices: readonly Uint8Array[], position: number): Promise<void> {
    // More than one writev() would be more than one sync: these few MiB are copied in less time.
    let rest = slices.length > SLICES_PER_WRITE_MAX ? [Buffer.concat(slices)] : slices;
    let at = position;
    while (rest.length > 0) {
      const bytesWritten = await this.#writeSome(rest, at);
      if (bytesWritten === 0) throw new Error("the disk takes no more bytes");
      at += bytesWritten;
      rest = dropBytes(rest, bytesWritten);
    }
  }

  /** By callback: a promise of the file handle's own costs three times as much, mostly in garbage. */
  #writeSome(slices: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#handle.fd, slices, position, (error, bytesWritten) => {
        if (error === null) resolve(bytesWritten);
        else reject(error);
      });
    });
  }

  truncate(size: number): Promise<void> {
    return this.#handle.truncate(size);
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
