import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Admission, AdmissionSettings, Enlisted } from "../../src/core/admission.ts";
import type { Component, Host, Listening, Pressure, Settings } from "../../src/core/component.ts";
import type { ConsumeError } from "../../src/core/errors.ts";
import type { Logger } from "../../src/core/logger.ts";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";
import { OpenBudget } from "../net/open-budget.ts";
import { settle, TestClock } from "../support/test-clock.ts";

/** Real time within which whatever a component ends must have ended: sockets and threads close in their own time. */
let patienceMs = 10_000;

/** For components that are known to break a promise: then nobody needs to wait so long to see it. */
export function expectQuickly(withinMs: number): void {
  patienceMs = withinMs;
}

/** An admission that writes down what becomes of it. */
export class StageAdmission implements Admission {
  readonly settings: AdmissionSettings;
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly client: Admission["client"];
  /** In order: "committed", "discarded". A component that settles it twice has a bug, and it shows here. */
  readonly ends: ("committed" | "discarded")[] = [];
  reason: ConsumeError | undefined;
  readonly enlisted: Enlisted[] = [];

  constructor(settings: AdmissionSettings) {
    this.settings = settings;
    this.client = settings.client;
    this.deadline = settings.deadline ?? Number.POSITIVE_INFINITY;
    this.signal = settings.signal ?? new AbortController().signal;
  }

  enlist(entry: Enlisted): void {
    this.enlisted.push(entry);
  }

  remember(): { readonly state: "new" } {
    return { state: "new" };
  }

  attach(): void {}

  async commit(): Promise<void> {
    this.ends.push("committed");
  }

  discard(reason?: ConsumeError): void {
    this.ends.push("discarded");
    this.reason ??= reason;
  }
}

/** Everything around a component that a promise is tried on: a clock that stands still, a folder, a host that remembers. */
export class Stage implements AsyncDisposable, Host {
  // The day's time, because what talks over real sockets compares deadlines with the system's clock.
  readonly clock = new TestClock(Date.now());
  readonly folder = mkdtempSync(join(tmpdir(), "signalbox-contract-"));
  readonly doors = new OpenBudget();
  readonly admissions: StageAdmission[] = [];
  readonly listening: Listening[] = [];
  readonly fatal: Error[] = [];
  readonly permanent: Error[] = [];
  readonly logged: string[] = [];
  readonly pressures: Pressure[] = [];
  readonly #components: Component[] = [];
  readonly #strays: unknown[] = [];
  readonly #endings: (() => Promise<void> | void)[] = [];
  #folders = 0;

  constructor() {
    const onStray = (thrown: unknown): void => void this.#strays.push(thrown);
    process.on("unhandledRejection", onStray);
    this.onEnd(() => void process.off("unhandledRejection", onStray));
  }

  /** A path inside the stage's folder where nothing stands yet. */
  newFolder(): string {
    this.#folders += 1;
    return join(this.folder, String(this.#folders));
  }

  settings(type: string, name?: string): Settings {
    const logger: Logger = {
      debug: (message) => void this.logged.push(`debug ${message}`),
      info: (message) => void this.logged.push(`info ${message}`),
      warn: (message) => void this.logged.push(`warn ${message}`),
      error: (message) => void this.logged.push(`error ${message}`),
      with: () => logger,
    };
    const id = name === undefined ? { type } : { type, name };
    return { id, logger, meter: new MetricsRegistry(), clock: this.clock };
  }

  admit(settings: AdmissionSettings): StageAdmission {
    const admission = new StageAdmission(settings);
    this.admissions.push(admission);
    return admission;
  }

  stateOf(): ReadonlyMap<string, Uint8Array> {
    return new Map();
  }

  refusedUnread(): void {}

  reportPressure(_reporter: string, pressure: Pressure): void {
    this.pressures.push(pressure);
  }

  reportListening(listening: Listening): void {
    this.listening.push(listening);
  }

  reportFatal(_id: unknown, error: Error): void {
    this.fatal.push(error);
  }

  reportPermanent(_id: unknown, error: Error): void {
    this.permanent.push(error);
  }

  /** Components are shut down at the end whatever happened, so that a broken promise breaks no other. */
  async start(components: readonly Component[]): Promise<void> {
    this.#components.push(...components);
    for (const component of components) await component.start(this);
  }

  /** Ends what a test opened beside the components, last opened first. */
  onEnd(end: () => Promise<void> | void): void {
    this.#endings.push(end);
  }

  /** What was thrown where nobody could catch it: in a callback, by a promise that nobody awaited. */
  get strays(): readonly unknown[] {
    return this.#strays;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const component of this.#components) {
        await inTime(component.shutdown(AbortSignal.abort()), "shutdown at the end of the test");
      }
      await settle();
    } finally {
      for (const end of this.#endings.toReversed()) await end();
      rmSync(this.folder, { recursive: true, force: true });
    }
  }
}

const PATIENT: AbortSignal = new AbortController().signal;

export async function shutDown(components: readonly Component[], signal: AbortSignal = PATIENT): Promise<void> {
  await Promise.all(components.map((component) => component.shutdown(signal)));
}

/** How much of each kind the process holds open: sockets, servers, watchers, threads, and files in `folder`. */
export function openResources(folder: string): ReadonlyMap<string, number> {
  // Else it looks up the name of every address. The types of this Node do not know it yet.
  Object.assign(process.report, { excludeNetwork: true });
  const report = process.report.getReport() as {
    readonly libuv: readonly { readonly type: string; readonly is_active: boolean }[];
    readonly workers: readonly unknown[];
  };
  const counts = new Map<string, number>([["thread", report.workers.length]]);
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  for (const { type } of report.libuv) if (HANDLES.has(type)) count(type);
  for (const path of openFiles()) if (path.startsWith(folder)) count("file");
  return counts;
}

const HANDLES = new Set(["tcp", "udp", "process", "fs_event", "fs_poll", "signal"]);

/** Linux shows them; elsewhere files are not looked at. */
function openFiles(): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)];
    } catch (error) {
      // The descriptor that read the folder is in the list, and gone.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  });
}

/** Waits until nothing more is open than before, and throws with what still is. */
export async function untilClosed(before: ReadonlyMap<string, number>, folder: string): Promise<void> {
  const extra = (): string[] =>
    [...openResources(folder)].flatMap(([what, count]) => {
      const more = count - (before.get(what) ?? 0);
      return more > 0 ? [`${more} ${what}`] : [];
    });
  await until(
    () => extra().length === 0,
    () => `still open: ${extra().join(", ")}`,
  );
}

/** Waits in real time for what sockets and threads do in theirs. */
export async function until(holds: () => boolean, explain: () => string): Promise<void> {
  const endMs = performance.now() + patienceMs;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`not within ${patienceMs} ms: ${explain()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Rejects where the promise is not settled in time: a test that hangs says nothing. */
export async function inTime<T>(promise: Promise<T>, what: string, withinMs = patienceMs): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not within ${withinMs} ms: ${what}`)), withinMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

export function portOf({ address }: Listening): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
