import { setTimeout as sleep } from "node:timers/promises";
import { TestProcess } from "../support/processes.ts";
import type { Contender } from "./contenders.ts";
import type { History, Life } from "./history.ts";

/** Of a start to "ready" and of a stop to the exit; the machine may be busy with other tests. */
const PATIENCE_MS = 20_000;

/** Before a process that ended by itself is started again, as a service manager would. */
const RESTART_PAUSE_MS = 200;

/** The process under test: what happens to it is written down in the history, and one that ends by itself is started again. */
export class Supervised implements AsyncDisposable {
  readonly #contender: Contender;
  readonly #history: History;
  /** Whether it may end by itself now: one that cannot write may be unable to start. */
  readonly #mayEnd: () => boolean;
  #process: TestProcess | undefined;
  #life: Life | undefined;
  #isOver = false;
  #variant = 0;

  constructor(contender: Contender, history: History, mayEnd: () => boolean) {
    this.#contender = contender;
    this.#history = history;
    this.#mayEnd = mayEnd;
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  spawn(): void {
    const [command, ...args] = this.#contender.command;
    const life: Life = {
      startMs: this.#history.nowMs(),
      endMs: Number.POSITIVE_INFINITY,
      end: undefined,
      struckMs: Number.POSITIVE_INFINITY,
      output: "",
    };
    this.#history.lives.push(life);
    this.#life = life;
    this.#process = new TestProcess(command, args);
    void this.#watch(this.#process, life);
  }

  /** Resolves once it is ready, through restarts of its own where there are some. */
  async ready(): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (performance.now() < endMs) {
      const current = this.#process;
      if (current !== undefined && this.#contender.isReady(current.stdout, current.stderr)) return;
      if (this.#life?.end === "ended by itself" && !this.#mayEnd()) break;
      await sleep(10);
    }
    throw new Error(`${this.#contender.name} does not become ready\n${this.#process?.stderr ?? ""}`);
  }

  async kill(end: "killed" | "lost power" = "killed"): Promise<void> {
    this.#expect(end);
    await this.#process?.stop("SIGKILL");
  }

  async terminate(): Promise<void> {
    this.#expect("terminated");
    const code = await Promise.race([
      this.#process?.stop("SIGTERM"),
      sleep(PATIENCE_MS, "hangs" as const, { ref: false }),
    ]);
    if (code === 0) return;
    this.#history.problem(`SIGTERM did not end the process with 0 but ${String(code)}`);
    await this.kill();
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#process !== undefined) process.kill(this.#process.pid, signal);
  }

  /** With another configuration. */
  async reload(): Promise<void> {
    this.#variant += 1;
    await this.#contender.writeConfiguration(this.#variant);
    this.signal("SIGHUP");
  }

  get output(): string {
    return this.#process === undefined ? "" : this.#process.stderr + this.#process.stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#process?.[Symbol.asyncDispose]();
  }

  /** Before the signal: whoever watches the process reads it when it is gone. */
  #expect(end: Life["end"]): void {
    if (this.#life === undefined || this.#life.endMs !== Number.POSITIVE_INFINITY) return;
    this.#life.end = end;
    this.#life.struckMs = this.#history.nowMs();
  }

  async #watch(watched: TestProcess, life: Life): Promise<void> {
    const code = await watched.exit();
    life.endMs = this.#history.nowMs();
    life.end ??= "ended by itself";
    life.output = watched.stderr;
    if (life.end !== "ended by itself" || this.#isOver || this.#life !== life) return;
    if (!this.#mayEnd()) {
      this.#history.problem(`the process ended by itself (${String(code)}): ${watched.stderr.slice(-2000)}`);
    }
    await sleep(RESTART_PAUSE_MS);
    if (!this.#isOver && this.#life === life) this.spawn();
  }
}
