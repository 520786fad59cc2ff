import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { Clock } from "../core/clock.ts";
import type { ProcessorFactory } from "../core/component.ts";
import type { ProcessorOrigin } from "./processor-fault.ts";
import { filesOf } from "./processor-modules.ts";

interface KnownProcessor {
  readonly factory: ProcessorFactory;
  /** By path: the processor's file, and what it imports from beside it. */
  readonly hashes: ReadonlyMap<string, string>;
}

/**
 * Which processors are loaded, and from which bytes. A load that finds the same bytes again gives the factory that is
 * there: a reload costs memory for the processors that have changed, and those that have not stay as they are.
 */
export class ProcessorMemory {
  readonly #known = new Map<string, KnownProcessor>();
  readonly #files = new Set<string>();
  #supersededCount = 0;

  /** Of processors that loaded and of those that did not: every file that a change of them would be made in. */
  get files(): ReadonlySet<string> {
    return this.#files;
  }

  /** Files whose former contents stay in memory until the process ends, as Node never forgets a module. */
  get supersededCount(): number {
    return this.#supersededCount;
  }

  async unchanged({ file }: ProcessorOrigin): Promise<ProcessorFactory | undefined> {
    const known = this.#known.get(file);
    if (known === undefined) return undefined;
    const isSame = await Promise.all([...known.hashes].map(async ([path, hash]) => (await hashOf(path)) === hash));
    return isSame.every(Boolean) ? known.factory : undefined;
  }

  /** What it imports is known by now, also where it did not load. */
  noteFiles({ file }: ProcessorOrigin, generation: number): void {
    for (const path of filesOf(file, generation)) this.#files.add(path);
  }

  /** `sinceMs`: when the load began. Written meanwhile, a file may not be what was loaded, and is read again next time. */
  async remember(
    origin: ProcessorOrigin,
    factory: ProcessorFactory,
    generation: number,
    sinceMs: number,
  ): Promise<void> {
    const former = this.#known.get(origin.file);
    this.#supersededCount += former?.hashes.size ?? 0;
    const paths = filesOf(origin.file, generation);
    const hashes = await Promise.all(paths.map(async (path) => [path, await hashOf(path, sinceMs)] as const));
    this.#known.set(origin.file, { factory, hashes: new Map(hashes) });
  }
}

/** Of what cannot be read, or was written after `sinceMs`, a hash that no file has. */
async function hashOf(path: string, sinceMs = Infinity): Promise<string> {
  try {
    if ((await stat(path)).mtimeMs >= sinceMs) return "changing";
    return createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  } catch (error) {
    return `unreadable: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** When a load begins, for remember(). File systems keep times that are a little behind. */
export function loadStartMs(clock: Clock): number {
  return clock.nowMs() - 20;
}
