import { AsyncLocalStorage, createHook } from "node:async_hooks";
import { readdirSync, readlinkSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

/** What keeps on acting, or holds something of the machine's, by the names that Node's async_hooks give it. */
const KINDS: ReadonlyMap<string, string> = new Map([
  ["Timeout", "a timer"],
  ["Immediate", "a setImmediate"],
  ["TCPWRAP", "a connection"],
  ["TCPSERVERWRAP", "a listening port"],
  ["PIPEWRAP", "a pipe"],
  ["PIPESERVERWRAP", "a listening pipe"],
  ["UDPWRAP", "a UDP socket"],
  ["PROCESSWRAP", "a process"],
  ["WORKER", "a thread"],
  ["MESSAGEPORT", "a message port"],
  ["FSEVENTWRAP", "a watched file"],
  ["STATWATCHER", "a watched file"],
  ["SIGNALWRAP", "a signal's listener"],
]);

/** They act whether or not they keep the process alive. */
const ACT_UNREFERENCED = new Set(["Timeout", "Immediate", "SIGNALWRAP"]);

/** Behind these stands who asked for a timer. */
const TIMER_FRAMES = /\bnode:(?:timers|timers\/promises|internal\/(?:timers|async_hooks|util))[:)]/;

/** Enough to reach the user's file behind a few layers of a library. */
const FRAMES_MAX = 40;

interface Begun {
  readonly type: string;
  readonly resource: object;
  /** A line of a stack: who began it. */
  readonly origin: string;
}

interface MayHoldOpen {
  hasRef?(): boolean;
  unref?(): void;
}

const current = new AsyncLocalStorage<Activity>();
const owners = new Map<number, Activity>();
const watched = new Set<Activity>();

/** Costs something for every promise, so it runs only while something is watched. */
const hook = createHook({
  init: (asyncId, type, _trigger, resource) => {
    if (KINDS.has(type)) current.getStore()?.[NOTE](asyncId, type, resource);
  },
  destroy: (asyncId) => owners.get(asyncId)?.[FORGET](asyncId),
});

const NOTE = Symbol("note");
const FORGET = Symbol("forget");

/**
 * What code has begun in the runtime beside its promises: timers, connections, processes, threads, files. Its own alone:
 * the asynchronous context says who began what, so a test runner's timers, and those of tests beside, are nobody's here.
 * Not seen: what Node begins for its own sake (the timers of `fetch`), and a connection that nobody waits for (one that
 * an agent keeps for the next request).
 */
export class Activity implements Disposable {
  readonly #open = new Map<number, Begun>();
  readonly #filesBefore = openFiles();
  #begun: Begun[] = [];
  /** Files are the whole process's: whose they are cannot be said while another is watched too. */
  #isAlone: boolean;

  constructor() {
    this.#isAlone = watched.size === 0;
    if (watched.size === 0) hook.enable();
    for (const other of watched) other.#isAlone = false;
    watched.add(this);
  }

  /** Whatever `act` begins, at once or in all that follows from it, is this activity's. */
  run<T>(act: () => T): T {
    return current.run(this, act);
  }

  /** Timers that still wait. */
  timers(): string[] {
    return [...this.#open.values()].filter(({ type }) => type === "Timeout" || type === "Immediate").map(describe);
  }

  /** Everything that is open and can act, or holds something. */
  open(): string[] {
    const held = [...this.#open.values()].filter((begun) => isHeld(begun)).map(describe);
    return [...held, ...this.files()];
  }

  /** Everything but files that was begun since the last look, open or not. */
  takeBegun(): string[] {
    const begun = this.#begun.map(describe);
    this.#begun = [];
    return begun;
  }

  /** Files that are open now and were not at the beginning. */
  files(): string[] {
    if (!this.#isAlone) return [];
    return [...openFiles()].filter((file) => !this.#filesBefore.has(file)).map((file) => `the file ${file}`);
  }

  /** What is still open keeps the process alive no longer, so that a test runner ends which has said what it found. */
  [Symbol.dispose](): void {
    for (const [asyncId, { resource }] of this.#open) {
      owners.delete(asyncId);
      (resource as MayHoldOpen).unref?.();
    }
    this.#open.clear();
    watched.delete(this);
    if (watched.size === 0) hook.disable();
  }

  [NOTE](asyncId: number, type: string, resource: object): void {
    if (!watched.has(this)) return;
    const origin = originOf(type);
    if (origin === undefined) return;
    const begun = { type, resource, origin };
    this.#open.set(asyncId, begun);
    // A port that only serves a thread is never waited for, and the thread is in the list itself.
    if (type !== "MESSAGEPORT") this.#begun.push(begun);
    owners.set(asyncId, this);
  }

  [FORGET](asyncId: number): void {
    owners.delete(asyncId);
    this.#open.delete(asyncId);
  }
}

function isHeld({ type, resource }: Begun): boolean {
  return ACT_UNREFERENCED.has(type) || (resource as MayHoldOpen).hasRef?.() !== false;
}

function describe({ type, origin }: Begun): string {
  return `${KINDS.get(type)}${origin === "" ? "" : `, begun ${origin}`}`;
}

/** The first frame outside of Node, "" where there is none; undefined for a timer of Node's own. */
function originOf(type: string): string | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES_MAX;
  const lines = (new Error("origin").stack ?? "").split("\n").map((line) => line.trim());
  Error.stackTraceLimit = limit;
  // First come this function and the hook, then Node, which called it.
  const frames = lines.slice(Math.max(lines.findIndex(isOfNode), 0));
  const asked = frames.find((line) => !TIMER_FRAMES.test(line));
  if ((type === "Timeout" || type === "Immediate") && asked !== undefined && isOfNode(asked)) return undefined;
  return frames.find((line) => !isOfNode(line)) ?? "";
}

function isOfNode(line: string): boolean {
  return /^at .*\bnode:/.test(line);
}

/**
 * Descriptor and path of regular files. Linux shows them; elsewhere files are not looked at, and neither in a thread, beside
 * which a test runner may run others.
 */
function openFiles(): Set<string> {
  if (process.platform !== "linux" || !isMainThread) return new Set();
  const files = readdirSync("/proc/self/fd").map((descriptor) => `${pathOf(descriptor)} (${descriptor})`);
  return new Set(files.filter((file) => file.startsWith("/") && !/^\/(?:dev|proc)\//.test(file)));
}

function pathOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch (error) {
    // The descriptor that read the folder is in the list, and gone.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
