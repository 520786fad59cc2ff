import { createHash } from "node:crypto";
import { watch, type FSWatcher } from "node:fs";
import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "../core/clock.ts";
import type { LoadInputs } from "./load.ts";
import { loadStartMs } from "./processor-memory.ts";

/** An editor writes, renames and sets rights within milliseconds; a reload in the middle would read half a file. */
const DEBOUNCE_MS = 300;

/**
 * Not every file system tells of changes (NFS, folders that a virtual machine shares), and a folder that is replaced
 * takes its watcher along. So it is looked at, too: some 50 calls of stat().
 */
const POLL_MS = 5_000;

/** More links than the system itself follows. */
const LINKS_MAX = 40;

export interface InputMark {
  readonly inputs: LoadInputs;
  readonly seen: string;
  /** No later than the reading began. */
  readonly atMs: number;
}

export interface InputWatchSettings {
  readonly clock: Clock;
  /** What the inputs hold is not what it was. Not called again before it has settled. */
  readonly onChange: () => Promise<void>;
}

/**
 * Watches what a configuration was read from. Folders are watched and not files: an editor replaces a file, and Kubernetes
 * replaces the link to the folder that a mounted file is a link into. What counts is what the files hold: a file that was
 * only touched is no change.
 */
export class InputWatch implements Disposable {
  readonly #settings: InputWatchSettings;
  readonly #watchers = new Map<string, FSWatcher>();
  #inputs: LoadInputs = { files: [], folders: [] };
  #seen: string | undefined;
  #poll: Timer | undefined;
  #debounce: Timer | undefined;
  #looking: Promise<void> | undefined;
  #isClosed = false;

  constructor(settings: InputWatchSettings) {
    this.#settings = settings;
    this.#pollLater();
  }

  /** What the inputs hold, taken before they are read: a change while they are read must not go unseen. */
  async mark(): Promise<InputMark> {
    const inputs = this.#inputs;
    return { inputs, seen: await fingerprint(inputs), atMs: loadStartMs(this.#settings.clock) };
  }

  /**
   * These are the inputs from now on; they were read after the mark was taken. Where there are others than it knows, one
   * that was written since may hold something else by now, and counts as changed.
   */
  async follow(inputs: LoadInputs, mark: Pick<InputMark, "atMs"> & Partial<InputMark>): Promise<void> {
    this.#inputs = inputs;
    await this.#watchFolders();
    if (mark.seen !== undefined && isDeepStrictEqual(mark.inputs, inputs)) this.#seen = mark.seen;
    else {
      const seen = await fingerprint(inputs);
      // In this order: what is written after it was looked at is found to be written.
      this.#seen = (await this.#isWrittenSince(mark.atMs)) ? "" : seen;
    }
    this.#lookSoon();
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#poll?.cancel();
    this.#debounce?.cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #pollLater(): void {
    this.#poll = this.#settings.clock.after(POLL_MS, () => {
      this.#pollLater();
      this.#look();
    });
  }

  #lookSoon(): void {
    this.#debounce?.cancel();
    if (!this.#isClosed) this.#debounce = this.#settings.clock.after(DEBOUNCE_MS, () => this.#look());
  }

  /** One look at a time; what comes meanwhile looks again. */
  #look(): void {
    if (this.#looking !== undefined) return this.#lookSoon();
    this.#looking = this.#compare().finally(() => (this.#looking = undefined));
  }

  async #compare(): Promise<void> {
    if (this.#seen === undefined) return;
    const found = await fingerprint(this.#inputs);
    if (found === this.#seen || this.#isClosed) return;
    this.#seen = found;
    await this.#settings.onChange();
  }

  async #isWrittenSince(sinceMs: number): Promise<boolean> {
    const times = await Promise.all(this.#inputs.files.map((file) => writtenMs(file)));
    return times.some((ms) => ms >= sinceMs);
  }

  async #watchFolders(): Promise<void> {
    const { files, folders } = this.#inputs;
    const wanted = new Set(folders.map((folder) => resolve(folder)));
    for (const file of files) for (const folder of await foldersOf(file)) wanted.add(folder);
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of wanted) this.#watchFolder(folder);
  }

  #watchFolder(folder: string): void {
    if (this.#isClosed || this.#watchers.has(folder)) return;
    const forget = (): void => {
      this.#watchers.get(folder)?.close();
      this.#watchers.delete(folder);
    };
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#lookSoon());
      this.#watchers.set(folder, watcher);
      watcher.on("error", forget);
    } catch {
      // It is not there, or the system has no watcher left: the regular look finds what changes.
      forget();
    }
  }
}

/** Where a path's file lies: the folder of the path, and of every link that leads on from there. */
async function foldersOf(file: string): Promise<string[]> {
  const folders: string[] = [];
  let path = resolve(file);
  for (let count = 0; count < LINKS_MAX; count += 1) {
    folders.push(dirname(path));
    const target = await linkTarget(path);
    if (target === undefined) return folders;
    path = target;
  }
  return folders;
}

/** Where the first link of a path leads, with the rest of the path behind it. */
async function linkTarget(path: string): Promise<string | undefined> {
  const parts = path.split("/");
  for (let length = 2; length <= parts.length; length += 1) {
    const place = parts.slice(0, length).join("/");
    const target = await readlink(place).catch(() => undefined);
    if (target !== undefined) return resolve(dirname(place), target, ...parts.slice(length));
  }
  return undefined;
}

async function writtenMs(file: string): Promise<number> {
  return stat(file).then(
    // A file that is moved here keeps the time of its writing, and gets another ctime.
    (stats) => (stats.isFile() ? Math.max(stats.mtimeMs, stats.ctimeMs) : 0),
    () => 0,
  );
}

async function fingerprint({ files, folders }: LoadInputs): Promise<string> {
  const contents = await Promise.all([...new Set(files)].toSorted().map((file) => describeFile(file)));
  const listings = await Promise.all(folders.map((folder) => describeFolder(folder)));
  return createHash("sha256")
    .update(JSON.stringify([contents, listings]))
    .digest("hex");
}

/** A pipe or a device is read once, at the start; to look into it would take what it holds. */
async function describeFile(file: string): Promise<string> {
  try {
    if (!(await stat(file)).isFile()) return `${file}: no file`;
    const hash = createHash("sha256").update(await readFile(file));
    return `${file}: ${hash.digest("hex")}`;
  } catch (error) {
    return `${file}: ${error instanceof Error && "code" in error ? String(error.code) : "unreadable"}`;
  }
}

/** A processor is a file in it, or in a folder in it. */
async function describeFolder(folder: string): Promise<string[]> {
  const entries = await readdir(resolve(folder), { withFileTypes: true }).catch(() => []);
  const names = await Promise.all(
    entries.map(async (entry) => {
      if (!entry.isDirectory() || entry.name === "node_modules") return entry.name;
      const inner = await readdir(join(resolve(folder), entry.name)).catch(() => []);
      return `${entry.name}: ${inner.toSorted(byName).join(", ")}`;
    }),
  );
  return names.toSorted(byName);
}

function byName(left: string, right: string): number {
  return left < right ? -1 : 1;
}
