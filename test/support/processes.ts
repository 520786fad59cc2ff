import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

/** A real process under test: its output is kept, and it is ended by its own id when the test is done. */
export class TestProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";
  #waiters: (() => void)[] = [];
  #exit: { readonly code: number | null; readonly signal: NodeJS.Signals | null } | undefined;

  constructor(
    command: string,
    args: readonly string[],
    settings: {
      cwd?: string;
      env?: Readonly<Record<string, string>>;
      /** File descriptors in place of what is kept here: the test looks at what becomes of them. */
      stdout?: number;
      stderr?: number;
    } = {},
  ) {
    this.#child = spawn(command, args, {
      cwd: settings.cwd,
      env: { ...process.env, ...settings.env },
      stdio: ["ignore", settings.stdout ?? "pipe", settings.stderr ?? "pipe"],
    });
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#wake(() => (this.#stdout += chunk.toString())));
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#wake(() => (this.#stderr += chunk.toString())));
    this.#child.once("error", (error) => this.#wake(() => (this.#stderr += `${error.message}\n`)));
    this.#child.once("close", (code, signal) => this.#wake(() => (this.#exit = { code, signal })));
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Resolves with what `find` makes of the output so far, once it is something; rejects when the process ends before. */
  async until<T>(find: (stdout: string, stderr: string) => T | undefined | null | false): Promise<T> {
    for (;;) {
      const found = find(this.#stdout, this.#stderr);
      if (found !== undefined && found !== null && found !== false) return found;
      if (this.#exit !== undefined) {
        throw new Error(`the process ended (${this.#exit.code ?? this.#exit.signal})\n${this.#stdout}${this.#stderr}`);
      }
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Waits for the end and returns the exit code. */
  async exit(): Promise<number | null> {
    if (this.#exit === undefined) await once(this.#child, "close");
    return this.#exit?.code ?? null;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.#child.kill(signal);
    return this.exit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exit === undefined) await this.stop("SIGKILL");
  }

  #wake(change: () => void): void {
    change();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

const givenPorts = new Set<number>();

/** A port that was free a moment ago, for peers that cannot be asked for one of their own choosing; no two alike in one test file. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port could be had");
  if (givenPorts.has(address.port)) return freePort();
  givenPorts.add(address.port);
  return address.port;
}

/** Asks again until `ask` gives something, at most for `timeoutMs`: for what another process does in its own time. */
export async function eventually<T>(ask: () => Promise<T | undefined>, what: string, timeoutMs = 15_000): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
