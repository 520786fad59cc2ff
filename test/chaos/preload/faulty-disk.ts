/**
 * A disk as bad as a disk may be, in the place of the real one: what was not synced is forgotten when the process is
 * killed, it is full or fails when the harness says so, and a write that fails leaves a part of itself behind.
 *
 * Written bytes stay in this process's memory until they are synced, so a kill takes them along; a process that ends by
 * itself writes them, as the operating system would have. A new file's name counts from the sync of its folder on.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { type Disk, type DiskFile, nodeDisk, syncedFile } from "../../../src/queue/segment-log/disk.ts";

/** What is wrong with the disk now: the text of the control file, which is not there while all is well. */
type Trouble = "disk_full" | "disk_error" | undefined;

const UNSYNCED = ".unsynced";

interface Write {
  readonly position: number;
  readonly bytes: Buffer;
}

/** What the operating system's cache would hold of one file. */
interface CachedFile {
  readonly writes: Write[];
  /** The folder has not been synced since it was made. */
  isNameSynced: boolean;
}

/** What the process and its disk share: the files by their paths. */
const cache = new Map<string, CachedFile>();

export interface FaultyDiskSettings {
  readonly disk: Disk;
  readonly trouble: () => Trouble;
  /** False: a sync promises what it does not do. For the proof that the harness notices. */
  readonly isSyncing: boolean;
}

function createFaultyDisk({ disk, trouble, isSyncing }: FaultyDiskSettings): Disk {
  const create: Disk["create"] = async (folder, name) => {
    if (trouble() === "disk_full") throw diskError("ENOSPC", "no space left on device");
    const path = join(folder, name);
    await removeLeftOver(disk, folder, name);
    const file = await disk.create(folder, name + UNSYNCED);
    const cached: CachedFile = { writes: [], isNameSynced: false };
    cache.set(path, cached);
    const written = new FaultyFile(file, cached, trouble, isSyncing);
    // What the gateway writes without a sync a kill leaves alone: that only a power cut takes.
    return Object.assign(written, { writeNow: file.writeNow.bind(file) });
  };
  return {
    ...disk,
    list: async (folder) => {
      const names = await disk.list(folder);
      // Left by a process that was killed before it synced the folder: they were never there.
      const known = names.filter((name) => !name.endsWith(UNSYNCED) || cache.has(join(folder, withoutSuffix(name))));
      return known.map(withoutSuffix);
    },
    create,
    // Not the real one's: its writes would be synced past this disk.
    createSynced: async (folder, name) => syncedFile(await create(folder, name)),
    openForReading: async (folder, name) => {
      const cached = cache.get(join(folder, name));
      const file = await disk.openForReading(folder, cached?.isNameSynced === false ? name + UNSYNCED : name);
      return new FaultyFile(file, cached ?? { writes: [], isNameSynced: true }, trouble, isSyncing);
    },
    remove: (folder, name) => {
      const isUnsynced = cache.get(join(folder, name))?.isNameSynced === false;
      cache.delete(join(folder, name));
      return disk.remove(folder, isUnsynced ? name + UNSYNCED : name);
    },
    writeFile: (folder, name, bytes) => {
      if (trouble() === "disk_full") return Promise.reject(diskError("ENOSPC", "no space left on device"));
      return disk.writeFile(folder, name, bytes);
    },
    syncFolder: async (folder) => {
      if (trouble() === "disk_error") throw diskError("EIO", "i/o error");
      if (isSyncing) await keepNames(folder);
      await disk.syncFolder(folder);
    },
  };
}

async function removeLeftOver(disk: Disk, folder: string, name: string): Promise<void> {
  const names = await disk.list(folder);
  if (names.includes(name + UNSYNCED)) await disk.remove(folder, name + UNSYNCED);
}

async function keepNames(folder: string): Promise<void> {
  for (const [path, cached] of cache) {
    if (cached.isNameSynced || !path.startsWith(folder)) continue;
    await rename(path + UNSYNCED, path);
    cached.isNameSynced = true;
  }
}

class FaultyFile implements DiskFile {
  readonly #file: DiskFile;
  readonly #cached: CachedFile;
  readonly #trouble: () => Trouble;
  readonly #isSyncing: boolean;

  constructor(file: DiskFile, cached: CachedFile, trouble: () => Trouble, isSyncing: boolean) {
    this.#file = file;
    this.#cached = cached;
    this.#trouble = trouble;
    this.#isSyncing = isSyncing;
  }

  async size(): Promise<number> {
    return Math.max(
      await this.#file.size(),
      ...this.#cached.writes.map(({ position, bytes }) => position + bytes.length),
    );
  }

  async write(slices: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = Buffer.concat(slices);
    if (this.#trouble() === "disk_full") {
      this.#cached.writes.push({ position, bytes: bytes.subarray(0, Math.floor(bytes.length / 3)) });
      throw diskError("ENOSPC", "no space left on device");
    }
    this.#cached.writes.push({ position, bytes });
  }

  async sync(): Promise<void> {
    const { writes } = this.#cached;
    if (this.#trouble() === "disk_error") {
      // As Linux has it: half of the pages made it, the others are dropped and taken for clean.
      await this.#writeBack(writes.splice(0).filter((_, index) => index % 2 === 0));
      throw diskError("EIO", "i/o error");
    }
    if (!this.#isSyncing) return;
    const synced = [...writes];
    await this.#writeBack(synced);
    writes.splice(0, synced.length);
    await this.#file.sync();
  }

  async #writeBack(writes: readonly Write[]): Promise<void> {
    for (const { position, bytes } of writes) await this.#file.write([bytes], position);
  }

  async truncate(size: number): Promise<void> {
    const { writes } = this.#cached;
    const kept = writes.filter(({ position }) => position < size);
    writes.splice(
      0,
      writes.length,
      ...kept.map(({ position, bytes }) => ({ position, bytes: bytes.subarray(0, size - position) })),
    );
    if ((await this.#file.size()) > size) await this.#file.truncate(size);
  }

  async read(position: number, size: number): Promise<Buffer> {
    const end = Math.min(position + size, await this.size());
    const bytes = Buffer.alloc(Math.max(end - position, 0));
    (await this.#file.read(position, size)).copy(bytes);
    for (const write of this.#cached.writes) {
      const from = Math.max(write.position, position);
      const to = Math.min(write.position + write.bytes.length, position + bytes.length);
      if (from < to) write.bytes.copy(bytes, from - position, from - write.position, to - write.position);
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** A process that is not killed leaves its writes to the operating system. */
function writeBackAll(): void {
  for (const [path, { writes, isNameSynced }] of cache) {
    if (writes.length === 0) continue;
    const handle = openSync(isNameSynced ? path : path + UNSYNCED, "r+");
    for (const { position, bytes } of writes) writeSync(handle, bytes, 0, bytes.length, position);
    closeSync(handle);
  }
}

function withoutSuffix(name: string): string {
  return name.endsWith(UNSYNCED) ? name.slice(0, -UNSYNCED.length) : name;
}

function diskError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

/** The control file is read at each use: the harness writes it while this process runs. */
function troubleIn(controlPath: string): () => Trouble {
  return () => {
    try {
      const text = readFileSync(controlPath, "utf8");
      return text === "disk_full" || text === "disk_error" ? text : undefined;
    } catch {
      // No file: all is well.
      return undefined;
    }
  };
}

/** Puts the bad disk in the place of the good one. `specifier`: how this module was imported, with `?control=PATH` in it. */
export function installFaultyDisk(specifier: string, settings: Pick<FaultyDiskSettings, "isSyncing">): void {
  const controlPath = new URL(specifier).searchParams.get("control") ?? "";
  Object.assign(nodeDisk, createFaultyDisk({ disk: { ...nodeDisk }, trouble: troubleIn(controlPath), ...settings }));
  process.once("exit", writeBackAll);
}
