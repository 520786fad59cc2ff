import { OutputFile, type OutputFileSettings } from "./output-file.ts";

/**
 * Paths that are remembered as ours, so that a file which is opened again is not emptied. The bet: nobody has more
 * values of an attribute. Lost: files beyond it are not emptied at their first opening either.
 */
const OWN_PATHS_MAX = 100_000;

/** The files that are open, at most `countMax`; the one that was not used for longest is closed for another. */
export class OpenFiles {
  readonly #countMax: number;
  readonly #keepsContent: boolean;
  readonly #settings: OutputFileSettings;
  /** In the order of their last use. */
  readonly #files = new Map<string, OutputFile>();
  readonly #closing = new Map<string, Promise<void>>();
  readonly #ownPaths = new Set<string>();

  constructor(countMax: number, keepsContent: boolean, settings: OutputFileSettings) {
    this.#countMax = countMax;
    this.#keepsContent = keepsContent;
    this.#settings = settings;
  }

  /** Use it at once: an operation that is begun before the next call is done before the file is closed. */
  use(path: string): OutputFile {
    const known = this.#files.get(path);
    const file = known ?? this.#create(path);
    this.#files.delete(path);
    this.#files.set(path, file);
    if (known === undefined) this.#evict();
    return file;
  }

  /** Resolves with what failed. */
  syncAll(): Promise<readonly Error[]> {
    return settle([...this.#files.values()].map((file) => file.sync()));
  }

  async closeAll(): Promise<readonly Error[]> {
    const closing = [...this.#files.values()].map((file) => file.close());
    this.#files.clear();
    return settle([...closing, ...this.#closing.values()]);
  }

  #create(path: string): OutputFile {
    const keepsContent = this.#keepsContent || this.#ownPaths.has(path) || this.#ownPaths.size >= OWN_PATHS_MAX;
    if (this.#ownPaths.size < OWN_PATHS_MAX) this.#ownPaths.add(path);
    return new OutputFile(path, keepsContent, this.#settings, this.#closing.get(path));
  }

  #evict(): void {
    if (this.#files.size <= this.#countMax) return;
    const [oldest] = this.#files.values();
    this.#files.delete(oldest!.path);
    const { path } = oldest!;
    const closing = oldest!
      .close()
      .catch((error: unknown) => this.#settings.logger.warn(`${path}: could not be closed: ${String(error)}`))
      .then(() => void this.#closing.delete(path));
    this.#closing.set(path, closing);
  }
}

async function settle(operations: readonly Promise<void>[]): Promise<readonly Error[]> {
  const results = await Promise.allSettled(operations);
  return results.flatMap((result) => (result.status === "rejected" ? [asError(result.reason)] : []));
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
