import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { GatewayOutputs, PENDING_LENGTH_MAX, type OutputNotice } from "../../src/cli/gateway-outputs.ts";
import { TestClock } from "../support/test-clock.ts";

type Done = (error?: Error) => void;

/** A stream whose reader is the test: each text waits until it is taken, or fails. */
class HeldStream extends Writable {
  readonly texts: string[] = [];
  readonly #waiting: Done[] = [];

  constructor() {
    super({ decodeStrings: false, emitClose: false });
  }

  /** As Node has the process's own streams outlive their errors. */
  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    done(error);
    const undestroy = Reflect.get(this, "_undestroy") as () => void;
    undestroy.call(this);
  }

  override _write(text: string, _encoding: BufferEncoding, done: Done): void {
    this.texts.push(text);
    this.#waiting.push(done);
  }

  /** Ends the write under way, and lets what follows from it happen. */
  async settle(error?: Error): Promise<void> {
    this.#waiting.shift()?.(error);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function open(): { outputs: GatewayOutputs; stdout: HeldStream; stderr: HeldStream; notices: OutputNotice[] } {
  const [stdout, stderr] = [new HeldStream(), new HeldStream()];
  const outputs = new GatewayOutputs(stdout, stderr);
  const notices: OutputNotice[] = [];
  outputs.listen((notice) => notices.push(notice));
  return { outputs, stdout, stderr, notices };
}

const BROKEN_PIPE = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });

test("a stream whose reader has gone is told of once and not written to again; the other goes on", async () => {
  const { outputs, stdout, stderr, notices } = open();
  outputs.stderr.write("first");
  await stderr.settle(BROKEN_PIPE);
  outputs.stderr.write("second");
  outputs.stdout.write("third");
  expect(stderr.texts).toEqual(["first"]);
  expect(stdout.texts).toEqual(["third"]);
  const message =
    "stderr cannot be written to (write EPIPE): nobody reads it any more, and nothing more is written to it";
  expect(notices).toEqual([{ name: "stderr", isTaken: false, message }]);
});

test("a full disk costs what was written meanwhile, and the log goes on when it has room again", async () => {
  const { outputs, stderr, notices } = open();
  for (const text of ["first", "second"]) {
    outputs.stderr.write(text);
    await stderr.settle(Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }));
  }
  outputs.stderr.write("third");
  await stderr.settle();
  expect(stderr.texts).toEqual(["first", "second", "third"]);
  expect(notices.map(({ message }) => message)).toEqual([
    "stderr cannot be written to (ENOSPC: no space left on device): its text is dropped",
    "stderr is written to again; dropped before: 2",
  ]);
});

test("a stream that fails before there is a log is told of when there is one", async () => {
  const stderr = new HeldStream();
  const outputs = new GatewayOutputs(new HeldStream(), stderr);
  outputs.stderr.write("a warning");
  await stderr.settle(BROKEN_PIPE);
  const names: string[] = [];
  outputs.listen(({ name }) => names.push(name));
  expect(names).toEqual(["stderr"]);
});

test("a reader that takes nothing costs bounded memory, and is told how much it missed once it has caught up", async () => {
  const { outputs, stderr, notices } = open();
  outputs.stderr.write("x".repeat(PENDING_LENGTH_MAX));
  outputs.stderr.write("y");
  for (let count = 0; count < 3; count++) outputs.stderr.write("dropped");
  expect(stderr.writableLength).toBe(PENDING_LENGTH_MAX + 1);
  expect(notices.map(({ isTaken }) => isTaken)).toEqual([false]);
  await stderr.settle();
  await stderr.settle();
  expect(stderr.texts.at(-1)).toBe("y");
  expect(notices.at(-1)).toEqual({
    name: "stderr",
    isTaken: true,
    message: "stderr is written to again; dropped before: 3",
  });
});

test("a flush ends when all is written, or when its time is over", async () => {
  const { outputs, stdout } = open();
  const clock = new TestClock();
  expect(await outputs.flush(clock, 1000)).toBe(true);
  outputs.stdout.write("text");
  const stuck = outputs.flush(clock, 1000);
  await clock.advance(1000);
  expect(await stuck).toBe(false);
  const second = outputs.flush(clock, 1000);
  for (let count = 0; count < 3; count++) await stdout.settle();
  expect(await second).toBe(true);
});
