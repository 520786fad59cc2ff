import type { Disk, DiskFile } from "../../../src/queue/segment-log/disk.ts";

interface Stored {
  /** As a reader sees it. */
  bytes: Buffer;
  /** What survives a power cut. */
  synced: Buffer;
}

/**
 * Files in memory that behave as badly as a disk may: writes that fail half way, syncs that fail and lose what was
 * written, power cuts that keep any part of what was not synced.
 */
export class MemoryDisk implements Disk {
  readonly files = new Map<string, Stored>();
  /** Fails the next operations of these kinds, in order. */
  readonly failures: {
    readonly of: "write" | "sync" | "create" | "truncate" | "remove";
    readonly error: Error;
    readonly keepBytes?: number;
  }[] = [];
  syncCount = 0;
  writtenBytes = 0;

  list(folder: string): Promise<string[]> {
    const names = [...this.files.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1));
    return Promise.resolve(names.filter((name) => !name.includes("/")));
  }

  create(folder: string, name: string): Promise<DiskFile> {
    const failure = this.takeFailure("create");
    if (failure !== undefined) return Promise.reject(failure.error);
    const path = `${folder}/${name}`;
    if (this.files.has(path)) return Promise.reject(new Error(`${path} exists`));
    const stored = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) };
    this.files.set(path, stored);
    return Promise.resolve(new MemoryFile(this, stored));
  }

  openForReading(folder: string, name: string): Promise<DiskFile> {
    const stored = this.files.get(`${folder}/${name}`);
    return stored === undefined
      ? Promise.reject(Object.assign(new Error(`no ${name}`), { code: "ENOENT" }))
      : Promise.resolve(new MemoryFile(this, stored));
  }

  remove(folder: string, name: string): Promise<void> {
    const failure = this.takeFailure("remove");
    if (failure !== undefined) return Promise.reject(failure.error);
    this.files.delete(`${folder}/${name}`);
    return Promise.resolve();
  }

  writeFile(folder: string, name: string, bytes: Uint8Array): Promise<void> {
    this.files.set(`${folder}/${name}`, { bytes: Buffer.from(bytes), synced: Buffer.from(bytes) });
    return Promise.resolve();
  }

  syncFolder(): Promise<void> {
    return Promise.resolve();
  }

  /** What was not synced is there up to a share of it, 0 to 1. */
  cutPower(share: number): void {
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
    for (const [path, { bytes }] of this.files)
      copy.files.set(path, { bytes: Buffer.from(bytes), synced: Buffer.from(bytes) });
    return copy;
  }

  get segmentPaths(): string[] {
    return [...this.files.keys()].filter((path) => path.endsWith(".log")).toSorted();
  }

  get bytes(): number {
    return this.segmentPaths.reduce((sum, path) => sum + this.files.get(path)!.bytes.length, 0);
  }

  takeFailure(of: MemoryDisk["failures"][number]["of"]): MemoryDisk["failures"][number] | undefined {
    if (this.failures[0]?.of !== of) return undefined;
    return this.failures.shift();
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk;
  readonly #stored: Stored;

  constructor(disk: MemoryDisk, stored: Stored) {
    this.#disk = disk;
    this.#stored = stored;
  }

  size(): Promise<number> {
    return Promise.resolve(this.#stored.bytes.length);
  }

  async write(slices: readonly Uint8Array[], position: number): Promise<void> {
    // A real write takes its time: what happens meanwhile must not matter.
    await new Promise((resolve) => setImmediate(resolve));
    const whole = Buffer.concat(slices);
    const failure = this.#disk.takeFailure("write");
    const written = failure === undefined ? whole : whole.subarray(0, failure.keepBytes ?? 0);
    const bytes = Buffer.alloc(Math.max(this.#stored.bytes.length, position + written.length));
    this.#stored.bytes.copy(bytes);
    written.copy(bytes, position);
    this.#stored.bytes = bytes;
    this.#disk.writtenBytes += written.length;
    if (failure !== undefined) throw failure.error;
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
    return Promise.resolve(Buffer.from(this.#stored.bytes.subarray(position, position + size)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
