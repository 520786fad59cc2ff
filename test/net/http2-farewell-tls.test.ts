import { connect } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { frameMessage } from "../../src/net/grpc-wire.ts";
import { Http2Door } from "../../src/net/http2-door.ts";
import { NO_OPENSSL, TestCa } from "../support/test-ca.ts";
import { settle, TestClock } from "../support/test-clock.ts";
import { OpenBudget } from "./open-budget.ts";

/** How a TLS connection ends, which cannot be told to go before its last stream is named. */

const METHOD = "/signalbox.test.Echo/Send";
const LATEST_MS = 1_000;

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await settle();
}

/** A door over TLS whose calls wait until a test lets the oldest of them end, and a client. */
class Stage {
  readonly clock = new TestClock();
  readonly waiting: (() => void)[] = [];
  readonly answers: string[] = [];
  readonly lastStreams: number[] = [];
  readonly #door: Http2Door;
  readonly #ca: TestCa;
  #session: ClientHttp2Session | undefined;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), "signalbox-farewell-"));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    this.#ca = new TestCa(folder);
    const { cert, key } = this.#ca.issue("server", "DNS:localhost");
    const hold = (request: Uint8Array): Promise<Uint8Array> =>
      new Promise((resolve) => this.waiting.push(() => resolve(request)));
    this.#door = new Http2Door({
      endpoint: { host: "127.0.0.1", port: 0 },
      owner: "receivers.test",
      endpointKey: "protocols.grpc.endpoint",
      methods: new Map([[METHOD, hold]]),
      messageBytesMax: 1_000_000,
      streamsMax: 100,
      createListener: (onSocket) => createServer({ cert, key, ALPNProtocols: ["h2"] }, onSocket),
      budget: new OpenBudget(),
      clock: this.clock,
    });
  }

  async open(): Promise<this> {
    const { port } = await this.#door.start();
    closers.push(() => this.#door.stop(AbortSignal.abort()));
    const session = connect(`https://localhost:${port}`, { ca: this.#ca.pair.cert });
    session.on("goaway", (_code, lastStream) => this.lastStreams.push(lastStream));
    closers.push(() => session.destroy());
    this.#session = session;
    return this;
  }

  stop(): Promise<void> {
    return this.#door.stop(new AbortController().signal);
  }

  async call(): Promise<void> {
    const before = this.waiting.length;
    const stream = this.#session!.request({ ":method": "POST", ":path": METHOD, "content-type": "application/grpc" });
    stream.on("trailers", ({ "grpc-status": status }) => this.answers.push(String(status)));
    stream.on("error", ({ message }) => this.answers.push(message));
    stream.resume().end(frameMessage(Buffer.from("hello")));
    await until(() => this.waiting.length > before);
  }

  async answerOldest(): Promise<void> {
    const answered = this.answers.length;
    this.waiting.shift()!();
    await until(() => this.answers.length > answered);
  }
}

describe.skipIf(NO_OPENSSL !== undefined)("a TLS connection that is asked to go", () => {
  it("is told the last stream with an answer, when its client waits for as many as ever", async () => {
    const stage = await new Stage().open();
    await stage.call();
    await stage.call();
    await stage.answerOldest();
    const stopped = stage.stop();
    // One of two is under way: the client may have sent the next already.
    await stage.answerOldest();
    expect(stage.lastStreams).toEqual([]);
    await stage.call();
    await stage.call();
    await stage.answerOldest();
    await stage.answerOldest();
    await stopped;
    expect(stage.answers).toEqual(["0", "0", "0", "0"]);
    expect(new Set(stage.lastStreams)).toEqual(new Set([7]));
  });

  it("is told so with fewer under way, the longer that does not happen", async () => {
    const stage = await new Stage().open();
    await stage.call();
    await stage.call();
    await stage.answerOldest();
    const stopped = stage.stop();
    await stage.clock.advance(LATEST_MS / 2);
    await stage.answerOldest();
    await stopped;
    expect([stage.answers, new Set(stage.lastStreams)]).toEqual([["0", "0"], new Set([3])]);
  });

  it("is told so after a second where it has nothing under way", async () => {
    const stage = await new Stage().open();
    await stage.call();
    await stage.answerOldest();
    const stopped = stage.stop();
    await stage.clock.advance(LATEST_MS / 2);
    expect(stage.lastStreams).toEqual([]);
    await stage.clock.advance(LATEST_MS);
    await stopped;
    await until(() => stage.lastStreams.length > 0);
    expect(new Set(stage.lastStreams)).toEqual(new Set([1]));
  });
});
