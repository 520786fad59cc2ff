/** `contractOf` over processors that act beside `ctx.clock`: with the timers, sockets, threads and files of Node itself. */
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync, openSync, watch } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { setTimeout as setTimeoutPromise } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { defineProcessor, type DefinedProcessor, type ProcessorContext } from "signalbox/sdk";
import { contractOf } from "signalbox/sdk/testing";
import { afterAll, afterEach, describe, expect, test } from "vitest";

type Signature = () => void | Promise<void>;

/** What it begins where, and does not end, or ends too late. */
function withLogs(parts: (ctx: ProcessorContext) => { readonly start?: Signature; readonly shutdown?: Signature }) {
  return defineProcessor({
    type: "faulty",
    signals: ["logs"],
    create: (ctx) => ({ logs: () => undefined, ...parts(ctx) }),
  });
}

const onStart = (start: Signature): DefinedProcessor => withLogs(() => ({ start }));
const afterShutdown = (late: (ctx: ProcessorContext) => void): DefinedProcessor =>
  withLogs((ctx) => ({ shutdown: () => late(ctx) }));

const CREATED = "is created without side effects, and shut down without a start, twice";
const LEFT = "is shut down twice, and leaves no timer, connection, file, process or thread behind";
const QUIET = "does, counts and logs nothing after its shutdown";

// What the faults leave behind, so that this file ends.
const leftBehind: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of leftBehind.splice(0)) await end();
});

function leave<T>(left: T, end: (left: T) => unknown): void {
  leftBehind.push(() => end(left));
}

/** Beside the promises' clock: what Node itself runs for a processor. */
const REAL_FAULTS: readonly (readonly [string, string, DefinedProcessor, RegExp])[] = [
  [
    CREATED,
    "a timer",
    withLogs(() => (setTimeout(() => undefined, 20), {})),
    /create\(\) began.* a timer, begun at .*contract-activity/,
  ],
  [CREATED, "a setImmediate", withLogs(() => (setImmediate(() => undefined), {})), /create\(\) began.* setImmediate/],
  [
    CREATED,
    "a port",
    withLogs(() => {
      leave(createServer().listen(0, "127.0.0.1"), (server) => server.close());
      return {};
    }),
    /began: a listening port/,
  ],
  [
    LEFT,
    "an interval",
    onStart(() =>
      leave(
        setInterval(() => undefined, 1_000),
        clearInterval,
      ),
    ),
    /timers left.* a timer, begun at .*start/,
  ],
  [
    LEFT,
    "an interval that keeps nothing alive",
    onStart(() => leave(setInterval(() => undefined, 1_000).unref(), clearInterval)),
    /timers left/,
  ],
  [
    LEFT,
    "a timer that a timer of its clock set",
    withLogs(({ clock }) => ({
      start: async () => {
        await new Promise<void>((resolve) => void clock.after(1_000, resolve));
        clock.after(0, () =>
          leave(
            setInterval(() => undefined, 1_000),
            clearInterval,
          ),
        );
      },
      shutdown: () => new Promise<void>((resolve) => void clock.after(1_000, resolve)),
    })),
    /timers left/,
  ],
  [
    LEFT,
    "a setImmediate that sets the next",
    onStart(() => {
      let isEnded = false;
      const turn = (): unknown => isEnded || setImmediate(turn);
      turn();
      leftBehind.push(() => (isEnded = true));
    }),
    /timers left.* setImmediate/,
  ],
  [
    LEFT,
    "a promise's timer",
    onStart(() => {
      const ending = new AbortController();
      const { signal } = ending;
      void setTimeoutPromise(60_000, undefined, { signal }).catch(() => undefined);
      leftBehind.push(() => ending.abort());
    }),
    /timers left/,
  ],
  [
    LEFT,
    "a port",
    onStart(() => leave(createServer().listen(0, "127.0.0.1"), (server) => server.close())),
    /left open.* listening port/,
  ],
  [
    LEFT,
    "a connection",
    onStart(async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const socket = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
      await once(socket, "connect");
      server.close();
      leave(socket, (open) => open.destroy());
    }),
    /left open.* a connection/,
  ],
  [LEFT, "a UDP socket", onStart(() => leave(createSocket("udp4").bind(0), (socket) => socket.close())), /UDP socket/],
  [
    LEFT,
    "a thread",
    onStart(() => leave(new Worker("setInterval(() => {}, 1000)", { eval: true }), (thread) => thread.terminate())),
    /left open.* a thread/,
  ],
  [LEFT, "a process", onStart(() => leave(spawn("sleep", ["60"]), (child) => child.kill())), /left open.* a process/],
  [LEFT, "a watched file", onStart(() => leave(watch(tmpdir()), (watcher) => watcher.close())), /left open.* watched/],
  [LEFT, "an open file", onStart(() => leave(openSync(process.execPath, "r"), closeSync)), /left open.* the file \//],
  [
    LEFT,
    "a signal's listener",
    onStart(() => {
      const listener = (): void => undefined;
      process.on("SIGUSR2", listener);
      leave(listener, (left) => process.off("SIGUSR2", left));
    }),
    /left open.* signal/,
  ],
  [QUIET, "a count", afterShutdown(({ count }) => void setTimeout(() => count("late"), 50)), /counted or logged/],
  [
    QUIET,
    "a log line",
    afterShutdown(({ logger }) => void setTimeout(() => logger.info("late"), 50)),
    /counted or logged/,
  ],
  [
    QUIET,
    "a count after half a second",
    afterShutdown(({ count }) => void setTimeout(() => count("late"), 500)),
    /counted or logged/,
  ],
  [
    QUIET,
    "another timer",
    afterShutdown(() => void setTimeout(() => void setTimeout(() => undefined, 1), 20)),
    /began after its shutdown: a timer/,
  ],
];

describe("a processor that acts beside its clock", () => {
  test.for(REAL_FAULTS)("%s: %s is found", async ([name, , processor, found]) => {
    const check = contractOf(processor).find((each) => each.name === name)!;
    await expect(check.check()).rejects.toThrow(found);
  });

  test("is told of what it does later than any check waits, by an error that nobody catches", async () => {
    let speak = (): void => undefined;
    const check = contractOf(withLogs(({ count }) => ({ shutdown: () => void (speak = () => count("late")) }))).find(
      ({ name }) => name === QUIET,
    )!;
    await check.check();
    expect(speak).toThrow("faulty counted or logged after its shutdown");
  });
});

describe("a processor that opens everything, and closes it", () => {
  const tidy = defineProcessor({
    type: "tidy",
    signals: ["logs"],
    create() {
      const ends: (() => unknown)[] = [];
      return {
        async start() {
          const interval = setInterval(() => undefined, 1);
          const server = createHttpServer((_request, response) => response.end("hello")).listen(0, "127.0.0.1");
          await once(server, "listening");
          const thread = new Worker("setInterval(() => {}, 1000)", { eval: true });
          const file = openSync(process.execPath, "r");
          // The connection stays with the agent of fetch for a while, and so do its timers: nobody's here.
          await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();
          ends.push(
            () => clearInterval(interval),
            () => server.closeAllConnections(),
            () => server.close(),
          );
          ends.push(
            () => thread.terminate(),
            () => closeSync(file),
          );
        },
        logs: () => new Promise<void>((resolve) => setTimeout(resolve, 1)),
        async shutdown() {
          for (const end of ends.splice(0)) await end();
        },
      };
    },
  });
  const noise = setInterval(() => void setTimeout(() => undefined, 5), 1);
  afterAll(() => clearInterval(noise));
  const checks = contractOf(tidy).filter(({ name }) => [CREATED, LEFT, QUIET].includes(name));

  test.for(checks)("$name, while others set timers", ({ check }) => expect(check()).resolves.toBeUndefined());

  test("is not blamed for another that is tried at the same time", async () => {
    await expect(Promise.all([...checks, ...checks].map(({ check }) => check()))).resolves.toBeDefined();
  });
});
