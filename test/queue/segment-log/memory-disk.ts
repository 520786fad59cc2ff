import {
  type Disk,
  type DiskFile,
  type SyncedFile,
  syncedFile,
  type WrittenFile,
} from "../../../src/queue/segment-log/disk.ts";

interface Stored {
  /** As a reader sees it. */
  bytes: Buffer;
  /** What survives a power cut. */
  synced: Buffer;
}

/** As Node's errors are. */
export function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: of the test's disk`), { code });
}

/**
 * Files in memory that behave as badly as a disk may: writes that fail half way, syncs that fail and lose what was
 * written, no room, blocks that cannot be read, power cuts that keep any part of what was not synced, files that are
 * back because their folder was not.
 */
export class MemoryDisk implements Disk {
  readonly files = new Map<string, Stored>();
  /** Fails the next operations of these kinds, in order. */
  readonly failures: {
    readonly of: "write" | "sync" | "create" | "truncate" | "remove" | "syncFolder" | "writeFile" | "open" | "writeNow";
    readonly error: Error;
    readonly keepBytes?: number;
  }[] = [];
  syncCount = 0;
  writtenBytes = 0;
  /** A full disk takes what fits, and then says ENOSPC. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Reads that touch these bytes say EIO. */
  readonly unreadable: { readonly path: string; readonly from: number; readonly to: number }[] = [];
  /** Removed since their folder was synced. */
  readonly #removed = new Map<string, Stored>();
  /** Made since. */
  readonly #created = new Set<string>();

  list(folder: string): Promise<string[]> {
    const names = [...this.files.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1));
    return Promise.resolve(names.filter((name) => !name.includes("/")));
  }

  /** Changes with a power cut, as the system starts anew. */
  boot = 1;

  create(folder: string, name: string): Promise<WrittenFile> {
    const failure = this.takeFailure("create");
    if (failure !== undefined) return Promise.reject(failure.error);
    const path = `${folder}/${name}`;
    if (this.files.has(path)) return Promise.reject(diskError("EEXIST"));
    const stored = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) };
    this.files.set(path, stored);
    this.#created.add(path);
    return Promise.resolve(new MemoryFile(this, stored, path));
  }

  async createSynced(folder: string, name: string): Promise<SyncedFile> {
    return syncedFile(await this.create(folder, name));
  }

  openForReading(folder: string, name: string): Promise<DiskFile> {
    return this.#open(folder, name);
  }

  openForWriting(folder: string, name: string): Promise<WrittenFile> {
    return this.#open(folder, name);
  }

  bootId(): Promise<string> {
    return Promise.resolve(String(this.boot).padStart(32, "0"));
  }

  #open(folder: string, name: string): Promise<MemoryFile> {
    const failure = this.takeFailure("open");
    if (failure !== undefined) return Promise.reject(failure.error);
    const path = `${folder}/${name}`;
    const stored = this.files.get(path);
    return stored === undefined
      ? Promise.reject(diskError("ENOENT"))
      : Promise.resolve(new MemoryFile(this, stored, path));
  }

  remove(folder: string, name: string): Promise<void> {
    const failure = this.takeFailure("remove");
    if (failure !== undefined) return Promise.reject(failure.error);
    const path = `${folder}/${name}`;
    const stored = this.files.get(path);
    if (stored === undefined) return Promise.reject(diskError("ENOENT"));
    this.files.delete(path);
    if (!this.#created.delete(path)) this.#removed.set(path, stored);
    return Promise.resolve();
  }

  writeFile(folder: string, name: string, bytes: Uint8Array): Promise<void> {
    const failure = this.takeFailure("writeFile");
    if (failure !== undefined) return Promise.reject(failure.error);
    if (bytes.length > this.freeBytes) return Promise.reject(diskError("ENOSPC"));
    this.files.set(`${folder}/${name}`, { bytes: Buffer.from(bytes), synced: Buffer.from(bytes) });
    return Promise.resolve();
  }

  syncFolder(): Promise<void> {
    const failure = this.takeFailure("syncFolder");
    if (failure !== undefined) return Promise.reject(failure.error);
    this.#removed.clear();
    this.#created.clear();
    return Promise.resolve();
  }

  /** What was not synced is there up to a share of it, 0 to 1: bytes of files, and names in the folder. */
  cutPower(share: number): void {
    this.boot += 1;
    for (const [path, stored] of this.#removed) if (share < 0.5) this.files.set(path, stored);
    for (const path of this.#created) if (share < 0.5) this.files.delete(path);
    this.#removed.clear();
    this.#created.clear();
    for (const stored of this.files.values()) {
      const extra = Math.floor((stored.bytes.length - stored.synced.length) * share);
      const kept = extra > 0 ? stored.bytes.subarray(0, stored.synced.length + extra) : stored.synced;
      stored.bytes = Buffer.from(kept);
      stored.synced = Buffer.from(kept);
    }
  }

  /** A copy that a test may damage. */
  copy(): MemoryDisk {
    const copy = new MemoryDisk();
    copy.boot = this.boot;
    for (const [path, { bytes }] of this.files)
      copy.files.set(path, { bytes: Buffer.from(bytes), synced: Buffer.from(bytes) });
    return copy;
  }

  get segmentPaths(): string[] {
    return [...this.files.keys()].filter((path) => path.endsWith(".log")).toSorted();
  }

  get usedBytes(): number {
    let used = 0;
    for (const { bytes } of this.files.values()) used += bytes.length;
    return used;
  }

  get freeBytes(): number {
    return Math.max(this.capacityBytes - this.usedBytes, 0);
  }

  get bytes(): number {
    return this.segmentPaths.reduce((sum, path) => sum + this.files.get(path)!.bytes.length, 0);
  }

  takeFailure(of: MemoryDisk["failures"][number]["of"]): MemoryDisk["failures"][number] | undefined {
    if (this.failures[0]?.of !== of) return undefined;
    return this.failures.shift();
  }
}

class MemoryFile implements WrittenFile {
  readonly #disk: MemoryDisk;
  readonly #stored: Stored;

  readonly #path: string;

  constructor(disk: MemoryDisk, stored: Stored, path: string) {
    this.#disk = disk;
    this.#stored = stored;
    this.#path = path;
  }

  size(): Promise<number> {
    return Promise.resolve(this.#stored.bytes.length);
  }

  async write(slices: readonly Uint8Array[], position: number): Promise<void> {
    // A real write takes its time: what happens meanwhile must not matter.
    await new Promise((resolve) => setImmediate(resolve));
    const whole = Buffer.concat(slices);
    const failure = this.#disk.takeFailure("write");
    const taken = failure === undefined ? whole : whole.subarray(0, failure.keepBytes ?? 0);
    const fresh = Math.max(position + taken.length - this.#stored.bytes.length, 0);
    const isFull = fresh > this.#disk.freeBytes;
    const written = isFull ? taken.subarray(0, taken.length - fresh + this.#disk.freeBytes) : taken;
    const bytes = Buffer.alloc(Math.max(this.#stored.bytes.length, position + written.length));
    this.#stored.bytes.copy(bytes);
    written.copy(bytes, position);
    this.#stored.bytes = bytes;
    this.#disk.writtenBytes += written.length;
    if (failure !== undefined) throw failure.error;
    if (isFull) throw diskError("ENOSPC");
  }

  writeNow(bytes: Uint8Array, position: number): void {
    const failure = this.#disk.takeFailure("writeNow");
    if (failure !== undefined) throw failure.error;
    const whole = Buffer.alloc(Math.max(this.#stored.bytes.length, position + bytes.length));
    this.#stored.bytes.copy(whole);
    whole.set(bytes, position);
    this.#stored.bytes = whole;
  }

  async sync(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#disk.syncCount += 1;
    const failure = this.#disk.takeFailure("sync");
    if (failure !== undefined) throw failure.error;
    this.#stored.synced = Buffer.from(this.#stored.bytes);
  }

  truncate(size: number): Promise<void> {
    const failure = this.#disk.takeFailure("truncate");
    if (failure !== undefined) return Promise.reject(failure.error);
    this.#stored.bytes = Buffer.from(this.#stored.bytes.subarray(0, size));
    return Promise.resolve();
  }

  read(position: number, size: number): Promise<Buffer> {
    const isBad = this.#disk.unreadable.some(
      ({ path, from, to }) => path === this.#path && position < to && position + size > from,
    );
    if (isBad) return Promise.reject(diskError("EIO"));
    return Promise.resolve(Buffer.from(this.#stored.bytes.subarray(position, position + size)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
