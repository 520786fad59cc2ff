/**
 * The load generator, a process of its own: for a given time as fast as a number of requests under way at once allows,
 * or at a given rate.
 */
import { Agent, request as httpRequest } from "node:http";
import { connect, constants, type ClientHttp2Session } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { answerQuestions } from "./child.ts";
import { encodeRequest, numberRecords, WORKERS, type LoadShape, type RequestTemplate, type Signal } from "./load.ts";

export interface GeneratorQuestion {
  readonly port: number;
  readonly protocol: "grpc" | "http";
  readonly isGzip: boolean;
  readonly shape: LoadShape;
  /** Numbers of the requests: from `first` on, at most `countMax` of them. */
  readonly first: number;
  readonly countMax: number;
  readonly durationMs: number;
  readonly inFlight: number;
  readonly connections: number;
  /** Default: as many as are answered. */
  readonly recordsPerSecond: number | undefined;
}

export interface GeneratorAnswer {
  readonly sent: number;
  readonly acknowledged: number;
  readonly durationMs: number;
  /** From sending a request to its answer; at a given rate, from when it was due. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** What was not answered with OK. The first one ends the run, so there is at most one for each request under way. */
  readonly failures: readonly string[];
}

const SERVICES: Readonly<Record<Signal, string>> = {
  logs: "logs.v1.LogsService",
  traces: "trace.v1.TraceService",
  metrics: "metrics.v1.MetricsService",
};

/** Sends one message; resolves with what is wrong, or undefined. */
type Send = (message: Buffer) => Promise<string | undefined>;

interface Channel {
  readonly sends: readonly Send[];
  close(): void;
}

function openGrpc({ port, shape, isGzip, connections }: GeneratorQuestion): Channel {
  const sessions = Array.from({ length: connections }, () => connect(`http://127.0.0.1:${port}`));
  // Requests that are under way fail too, and say so.
  for (const session of sessions) session.on("error", () => session.destroy());
  const headers = {
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: `/opentelemetry.proto.collector.${SERVICES[shape.signal]}/Export`,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    te: "trailers",
    ...(isGzip && { "grpc-encoding": "gzip" }),
  };
  const sends = sessions.map((session): Send => (message) => {
    const prefix = Buffer.alloc(5);
    prefix[0] = isGzip ? 1 : 0;
    prefix.writeUInt32BE(message.length, 1);
    return sendGrpc(session, headers, Buffer.concat([prefix, message]));
  });
  return { sends, close: () => sessions.forEach((session) => session.close()) };
}

function sendGrpc(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  frame: Buffer,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const stream = session.request(headers);
    let status: string | undefined;
    let problem: string | undefined;
    const readStatus = (answer: Record<string, unknown>): void => {
      const value = answer["grpc-status"];
      if (typeof value === "string") status = value;
      if (status !== undefined && status !== "0") problem = `${status} ${String(answer["grpc-message"])}`;
    };
    stream.on("response", readStatus);
    stream.on("trailers", readStatus);
    stream.on("error", (error) => (problem = String(error)));
    stream.on("close", () => resolve(problem ?? (status === "0" ? undefined : "no grpc-status")));
    stream.resume();
    stream.end(frame);
  });
}

function openHttp({ port, shape, isGzip, inFlight }: GeneratorQuestion): Channel {
  const agent = new Agent({ keepAlive: true, maxSockets: inFlight });
  const headers = { "content-type": "application/x-protobuf", ...(isGzip && { "content-encoding": "gzip" }) };
  const options = { host: "127.0.0.1", port, path: `/v1/${shape.signal}`, method: "POST", agent };
  const send: Send = (message) =>
    new Promise((resolve) => {
      const sent = { ...headers, "content-length": message.length };
      const request = httpRequest({ ...options, headers: sent }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode === 200 ? undefined : `HTTP ${response.statusCode}`));
      });
      request.on("error", (error) => resolve(String(error)));
      request.end(message);
    });
  return { sends: [send], close: () => agent.destroy() };
}

/** One lane has one request under way at a time, and its own buffers: a message must not change while the socket reads it. */
class Lane {
  readonly #send: Send;
  readonly #shape: LoadShape;
  readonly #isGzip: boolean;
  readonly #templates: readonly RequestTemplate[];
  readonly #messages: readonly Buffer[];

  constructor(send: Send, { shape, isGzip }: GeneratorQuestion, templates: readonly RequestTemplate[]) {
    this.#send = send;
    this.#shape = shape;
    this.#isGzip = isGzip;
    this.#templates = templates;
    this.#messages = templates.map(({ message }) => Buffer.from(message));
  }

  send(requestNumber: number): Promise<string | undefined> {
    const kind = requestNumber % this.#templates.length;
    const message = this.#messages[kind]!;
    numberRecords(message, this.#templates[kind]!, requestNumber * this.#shape.recordsPerRequest);
    return this.#send(this.#isGzip ? gzipSync(message, { level: 1 }) : message);
  }
}

async function run(question: GeneratorQuestion): Promise<GeneratorAnswer> {
  const { shape, first, countMax, inFlight, durationMs, recordsPerSecond } = question;
  const templates = WORKERS.map((_, kind) => encodeRequest(shape, kind));
  const channel = question.protocol === "grpc" ? openGrpc(question) : openHttp(question);
  const failures: string[] = [];
  const latencies: number[] = [];
  const intervalMs = recordsPerSecond === undefined ? 0 : (shape.recordsPerRequest / recordsPerSecond) * 1000;
  let next = 0;
  let acknowledged = 0;
  const startMs = performance.now();
  const work = async (lane: Lane): Promise<void> => {
    while (next < countMax && failures.length === 0) {
      const dueMs = intervalMs === 0 ? performance.now() : startMs + next * intervalMs;
      if (dueMs - startMs >= durationMs) return;
      const number = next++;
      const earlyMs = dueMs - performance.now();
      if (earlyMs > 0) await sleep(earlyMs);
      const problem = await lane.send(first + number);
      latencies.push(performance.now() - dueMs);
      if (problem === undefined) acknowledged++;
      else failures.push(problem);
    }
  };
  const sends = channel.sends;
  const lanes = Array.from(
    { length: inFlight },
    (_, index) => new Lane(sends[index % sends.length]!, question, templates),
  );
  await Promise.all(lanes.map(work));
  const tookMs = performance.now() - startMs;
  channel.close();
  return { sent: next, acknowledged, durationMs: tookMs, latencyMs: percentiles(latencies), failures };
}

function percentiles(latencies: readonly number[]): GeneratorAnswer["latencyMs"] {
  const sorted = Float64Array.from(latencies).toSorted();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

answerQuestions(run);
