import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** One configuration as both sides are asked about it. */
export interface Case {
  /** Where it is from: `otlpexporter/invalid_configs.yaml#missing_port`. */
  readonly id: string;
  /** What `--config` names, relative to a folder that holds `files`. */
  readonly configs: readonly string[];
  readonly sets?: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Verdict {
  readonly isAccepted: boolean;
  /** What print-config gave; only where it was asked for. */
  readonly printed?: unknown;
  /** The Collector's words where it refuses. */
  readonly said?: string;
}

type Command = "validate" | "print-config";

const PARALLEL = 3;
/** One that is up does nothing, and is waited for. */
const PARALLEL_STARTS = 8;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const ANSWER_TIMEOUT_MS = 30_000;
/** A refusal at start comes within a tenth of it; the bet is that a busy machine is no ten times slower. */
const START_MS = 5_000;
/** Its page has a fixed port, on which another one may sit. */
const WITHOUT_OWN_METRICS = "--set=service.telemetry.metrics.level=none";

/**
 * Asks the real Collector, several at a time. A verdict depends on nothing but the binary and the case, so it is kept
 * beside the binary, under the hash of the case.
 */
export class Judge implements AsyncDisposable {
  readonly #binary: string;
  readonly #cachePath: string;
  readonly #cache: Map<string, Verdict>;
  readonly #folder: string;

  private constructor(binary: string, cache: Map<string, Verdict>, folder: string) {
    this.#binary = binary;
    this.#cachePath = cachePathOf(binary);
    this.#cache = cache;
    this.#folder = folder;
  }

  static async open(binary: string): Promise<Judge> {
    const known = await readFile(cachePathOf(binary), "utf8").catch(() => "[]");
    const cache = new Map(JSON.parse(known) as [string, Verdict][]);
    return new Judge(binary, cache, await mkdtemp(join(tmpdir(), "signalbox-judge-")));
  }

  /** In the order of the cases. */
  verdicts(command: Command, cases: readonly Case[]): Promise<Verdict[]> {
    return inParallel(PARALLEL, cases, (asked) => this.#verdict(command, asked));
  }

  /**
   * `validate` passes what only its start finds: then the Collector ends with an error within a second or so. Kept like a
   * verdict, as what a refusal of ours is worth is asked of the Collector, not of a sentence.
   */
  endAtStart(cases: readonly Case[]): Promise<boolean[]> {
    return inParallel(PARALLEL_STARTS, cases, (asked) => this.#endsAtStart(asked));
  }

  async #endsAtStart(asked: Case): Promise<boolean> {
    const { id: _, ...content } = asked;
    const key = createHash("sha256")
      .update(JSON.stringify(["start, without own metrics", content]))
      .digest("hex");
    const known = this.#cache.get(key);
    if (known !== undefined) return !known.isAccepted;
    const folder = join(this.#folder, key);
    await writeFiles(asked, folder);
    const isUp = await runsFor(START_MS, this.#binary, ["--config=config.yaml", WITHOUT_OWN_METRICS], folder);
    this.#cache.set(key, { isAccepted: isUp });
    return !isUp;
  }

  async #verdict(command: Command, asked: Case): Promise<Verdict> {
    const { id: _, ...content } = asked;
    const key = createHash("sha256")
      .update(JSON.stringify([command, content]))
      .digest("hex");
    const verdict = this.#cache.get(key) ?? (await this.#ask(command, asked, join(this.#folder, key)));
    this.#cache.set(key, verdict);
    return verdict;
  }

  async #ask(command: Command, asked: Case, folder: string): Promise<Verdict> {
    const { configs, sets = [], env = {} } = asked;
    await writeFiles(asked, folder);
    const options = command === "validate" ? [] : ["--mode=unredacted", "--format=json"];
    const sources = [...configs.map((config) => `--config=${config}`), ...sets.map((set) => `--set=${set}`)];
    return run(this.#binary, [command, ...options, ...sources], { cwd: folder, env });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
    const part = `${this.#cachePath}.${process.pid}`;
    await writeFile(part, JSON.stringify([...this.#cache]));
    await rename(part, this.#cachePath);
  }
}

/** In the order of the items. */
async function inParallel<T, R>(count: number, items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      answers[index] = await ask(items[index]!);
    }
  };
  await Promise.all(Array.from({ length: count }, work));
  return answers;
}

async function writeFiles({ files }: Case, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

/** Whether it is still there after that time, when it is ended. A port that somebody else has is no fault of the case. */
function runsFor(ms: number, binary: string, args: readonly string[], cwd: string): Promise<boolean> {
  const options = { cwd, timeout: ms, killSignal: "SIGKILL" as const, maxBuffer: ANSWER_BYTES_MAX };
  return new Promise((resolve) => {
    execFile(binary, args, options, (error, _stdout, stderr) =>
      resolve(error?.killed === true || stderr.includes("address already in use")),
    );
  });
}

function cachePathOf(binary: string): string {
  return join(dirname(binary), "config-verdicts.json");
}

function run(
  binary: string,
  args: readonly string[],
  { cwd, env }: { cwd: string; env: Record<string, string> },
): Promise<Verdict> {
  const options = { cwd, env, maxBuffer: ANSWER_BYTES_MAX, timeout: ANSWER_TIMEOUT_MS };
  return new Promise((resolve, reject) => {
    execFile(binary, args, options, (error, stdout, stderr) => {
      if (error === null)
        resolve({ isAccepted: true, ...(stdout.startsWith("{") && { printed: JSON.parse(stdout) as unknown }) });
      // 1 is a refusal, and a panic of its decoder says no more kindly that it does not start; anything else is no verdict.
      else if (error.code === 1 || stderr.startsWith("panic: "))
        resolve({ isAccepted: false, said: stderr.trim().slice(0, 2_000) });
      else reject(error);
    });
  });
}
