import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { HttpClient } from "../../../src/net/http-client.ts";
import { seeded } from "../../support/seeded.ts";
import { NEVER } from "../test-exporter.ts";

const MESSAGE_COUNT = 500;
const SENDER_COUNT = 8;

/** What befalls a request; the last is the rule. */
const FATES = ["reset before", "reset", "half an answer", "no body", "closed behind the answer", "busy"] as const;
const TROUBLE = 0.25;

let chaos: ChaosServer | undefined;
let client: HttpClient | undefined;

afterEach(async () => {
  client?.close();
  await chaos?.close();
});

/** Knows of each message how often it took it, and how often a whole success has left for it. */
class ChaosServer {
  readonly taken = new Map<string, number>();
  readonly answered = new Map<string, number>();
  readonly fates = new Set<string>();
  readonly #server: Server;
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  async listen(): Promise<URL> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1/logs`);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fate = this.#random() < TROUBLE ? FATES[Math.floor(this.#random() * FATES.length)]! : "answered";
    this.fates.add(fate);
    if (fate === "reset before") return void request.socket.resetAndDestroy();
    let text = "";
    for await (const chunk of request) text += String(chunk);
    if (fate === "busy") return void response.writeHead(503).end();
    add(this.taken, text);
    switch (fate) {
      case "reset":
        return void request.socket.resetAndDestroy();
      case "half an answer":
        return void request.socket.end("HTTP/1.1 200 O");
      case "no body":
        // The status line is the promise; the body it declares never comes.
        add(this.answered, text);
        return void request.socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
      case "closed behind the answer":
        add(this.answered, text);
        response.shouldKeepAlive = false;
        return void response.end(() => request.socket.destroySoon());
      case "answered":
        add(this.answered, text);
        return void response.end();
    }
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

test.each([1, 7, 42, 20_261_124])(
  "a backend that resets, half-closes and breaks off at random gets every message, and none again that it has answered (seed %i)",
  async (seed) => {
    const server = new ChaosServer(seed);
    chaos = server;
    const url = await server.listen();
    const opened = new HttpClient({
      tls: undefined,
      proxy: undefined,
      keepAlive: true,
      socketCountMax: 100,
      idleSocketCountMax: 100,
      idleMs: 90_000,
    });
    client = opened;
    let unclear = 0;
    const queue = Array.from({ length: MESSAGE_COUNT }, (_, index) => `${index} ${"x".repeat((index * 97) % 5000)}`);
    const texts = queue.values();
    const sender = async (): Promise<void> => {
      for (const text of texts) {
        for (let isAnswered = false; !isAnswered;) {
          const reply = await opened
            .post({ url, headers: {}, body: [Buffer.from(text)] }, NEVER)
            .catch(() => undefined);
          if (reply === undefined) unclear += 1;
          isAnswered = reply?.status === 200;
        }
      }
    };
    await Promise.all(Array.from({ length: SENDER_COUNT }, sender));
    expect(server.fates.size).toBe(FATES.length + 1);
    expect([...server.answered.keys()].toSorted()).toEqual(queue.toSorted());
    expect([...server.answered.values()].every((count) => count === 1)).toBe(true);
    const duplicates = [...server.taken.values()].reduce((sum, count) => sum + count - 1, 0);
    expect(duplicates).toBeGreaterThan(0);
    expect(unclear).toBeGreaterThan(0);
  },
  60_000,
);
