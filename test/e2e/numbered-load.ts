import {
  Agent,
  createServer,
  request as requestHttp,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { OTLP_METHODS } from "../../src/net/otlp-methods.ts";
import { logsRequest } from "../queue/support.ts";

/**
 * Load whose every record has a number, and backends that say which numbers came: what a test counts outside of the
 * gateway, without any code of it.
 */

const MARK = /#(\d{9})#/g;

/** Log records of about `recordBytes` each, numbered from `first` on. */
export function numberedRequest(first: number, count: number, recordBytes = 300): Buffer {
  const filling = "x".repeat(Math.max(recordBytes - 15, 0));
  const bodies = Array.from({ length: count }, (_, index) => `#${String(first + index).padStart(9, "0")}#${filling}`);
  return Buffer.from(logsRequest(bodies));
}

/** Takes OTLP/HTTP protobuf without compression and counts each number; refuses, or is away, when a test wants it. */
export class CountingBackend implements AsyncDisposable {
  /** How often each number came in a request that was answered with success. */
  readonly counts = new Map<number, number>();
  /**
   * Of the last request on each connection that has ended: the client may not have read its answer. It has read all
   * answers before, since it sends one request at a time on a connection.
   */
  readonly unreadAtEnd = new Set<number>();
  readonly #last = new Map<Socket, readonly number[]>();
  isRefusing = false;
  /** Before each success answer. */
  answerAfterMs = 0;
  #server: Server | undefined;
  #port = 0;

  static async listen(): Promise<CountingBackend> {
    const backend = new CountingBackend();
    await backend.open();
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get copies(): number {
    let copies = 0;
    for (const count of this.counts.values()) copies += count - 1;
    return copies;
  }

  /** Came more than once, and no answer that was lost with its connection says why. */
  get unexplainedCopies(): number[] {
    return [...this.counts].flatMap(([number, count]) => (count > 1 && !this.unreadAtEnd.has(number) ? [number] : []));
  }

  /** On the port that it had before. */
  async open(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Connections break, and new ones are refused. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.isRefusing) return void response.writeHead(503).end();
    const marks = Buffer.concat(chunks).toString("latin1").matchAll(MARK);
    const numbers = Array.from(marks, ([, digits]) => Number(digits));
    for (const number of numbers) this.counts.set(number, (this.counts.get(number) ?? 0) + 1);
    this.#noteLast(request.socket, numbers);
    if (this.answerAfterMs > 0) await sleep(this.answerAfterMs);
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  }

  #noteLast(socket: Socket, numbers: readonly number[]): void {
    const isNew = !this.#last.has(socket);
    this.#last.set(socket, numbers);
    if (!isNew) return;
    socket.once("close", () => {
      for (const number of this.#last.get(socket) ?? []) this.unreadAtEnd.add(number);
      this.#last.delete(socket);
    });
  }
}

/**
 * ok: acknowledged. refused: a refusal that says when to come back. unknown: sent and not answered, so it may be kept or
 * not. unreachable: nobody was there to send it to.
 */
export type Answer = "ok" | "refused" | "unknown" | "unreachable" | `unexpected: ${string}`;

export interface Door {
  /** Sends one request and says what came of it. */
  send(request: Buffer): Promise<Answer>;
  close(): void;
}

/** Every answer that is no success, beside the load's own books. */
export function watched(door: Door, failures: string[]): Door {
  const send = async (request: Buffer): ReturnType<Door["send"]> => {
    const answer = await door.send(request);
    if (answer !== "ok") failures.push(answer);
    return answer;
  };
  return { send, close: () => door.close() };
}

export function grpcDoor(address: string, timeoutMs: number): Door {
  const client = new grpc.Client(address.replace("http://", ""), grpc.credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 100,
  });
  const asIs = (bytes: Buffer): Buffer => bytes;
  const send = (request: Buffer): Promise<Answer> =>
    new Promise((resolve) => {
      const options = { deadline: Date.now() + timeoutMs };
      client.makeUnaryRequest(OTLP_METHODS.logs, asIs, asIs, request, options, (error) =>
        resolve(error === null ? "ok" : grpcAnswer(error)),
      );
    });
  return { send, close: () => client.close() };
}

function grpcAnswer({ code, details, metadata }: grpc.ServiceError): Answer {
  const [status] = metadata.get("grpc-status-details-bin");
  const hasHint = Buffer.isBuffer(status) && status.includes("google.rpc.RetryInfo");
  if (code === grpc.status.UNAVAILABLE && hasHint) return "refused";
  if (details.includes("No connection established") || details.includes("ECONNREFUSED")) return "unreachable";
  // What the client says itself, where no server answered.
  const isUnanswered = [grpc.status.UNAVAILABLE, grpc.status.DEADLINE_EXCEEDED, grpc.status.CANCELLED].includes(code);
  if (isUnanswered && metadata.get("content-type").length === 0) return "unknown";
  return `unexpected: gRPC ${code} ${details}`;
}

export function httpDoor(address: string, timeoutMs: number): Door {
  const agent = new Agent({ keepAlive: true });
  const send = (body: Buffer): Promise<Answer> =>
    new Promise((resolve) => {
      const headers = { "content-type": "application/x-protobuf", "content-length": body.length };
      const signal = AbortSignal.timeout(timeoutMs);
      const post = requestHttp(`${address}/v1/logs`, { method: "POST", headers, agent, signal }, (response) => {
        response.resume();
        response.on("close", () => resolve(response.complete ? httpAnswer(response) : "unknown"));
      });
      post.on("error", (error) => resolve(error.message.includes("ECONNREFUSED") ? "unreachable" : "unknown"));
      post.end(body);
    });
  return { send, close: () => agent.destroy() };
}

function httpAnswer({ statusCode, headers }: IncomingMessage): Answer {
  if (statusCode === 200) return "ok";
  if (statusCode === 503 && headers["retry-after"] !== undefined) return "refused";
  return `unexpected: HTTP ${statusCode}`;
}

export interface LoadSettings {
  readonly doors: readonly Door[];
  /** Requests under way at once on each door. */
  readonly lanes: number;
  readonly recordsPerRequest: number;
  readonly recordBytes?: number;
  /** Between two requests of one lane. 0: as fast as answers come. */
  readonly pauseMs: number;
}

/** Senders that go on, whatever they are answered: each sends a new request after every answer. */
export class NumberedLoad {
  /** First numbers of requests, by what was answered. */
  readonly acknowledged: number[] = [];
  readonly unknown: number[] = [];
  refusedCount = 0;
  readonly unexpected = new Set<string>();
  readonly #settings: LoadSettings;
  readonly #lanes: Promise<void>[];
  #next = 0;
  #isStopped = false;

  constructor(settings: LoadSettings) {
    this.#settings = settings;
    const doors = settings.doors.flatMap((door) => Array.from({ length: settings.lanes }, () => door));
    this.#lanes = doors.map((door) => this.#run(door));
  }

  /** Resolves when every request has its answer. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#lanes);
  }

  get acknowledgedItems(): number {
    return this.acknowledged.length * this.#settings.recordsPerRequest;
  }

  get unknownItems(): number {
    return this.unknown.length * this.#settings.recordsPerRequest;
  }

  /** Acknowledged records that a backend has not got. */
  missingAt(backend: CountingBackend): number {
    const { recordsPerRequest } = this.#settings;
    let missing = 0;
    for (const first of this.acknowledged) {
      for (let number = first; number < first + recordsPerRequest; number++) if (!backend.counts.has(number)) missing++;
    }
    return missing;
  }

  async #run(door: Door): Promise<void> {
    const { recordsPerRequest, recordBytes, pauseMs } = this.#settings;
    while (!this.#isStopped) {
      const first = this.#next;
      this.#next += recordsPerRequest;
      this.#count(first, await door.send(numberedRequest(first, recordsPerRequest, recordBytes)));
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  #count(first: number, answer: Answer): void {
    if (answer === "ok") this.acknowledged.push(first);
    else if (answer === "refused") this.refusedCount += 1;
    else if (answer === "unknown") this.unknown.push(first);
    else if (answer !== "unreachable") this.unexpected.add(answer);
  }
}

/** Every series of a metrics page: name with labels, as written, to its value. */
export async function readMetrics(page: string): Promise<Map<string, number>> {
  const text = await (await fetch(page)).text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

/** The sum of one entry of the ledger over all accounts of a kind. */
export function ledgerItems(metrics: ReadonlyMap<string, number>, kind: string, entry: string, labels = ""): number {
  let items = 0;
  for (const [series, value] of metrics) {
    const isOf = series.startsWith(`signalbox_ledger_${kind}_items{`) && series.includes(labels);
    if (isOf && series.includes(`entry="${entry}"`)) items += value;
  }
  return items;
}
