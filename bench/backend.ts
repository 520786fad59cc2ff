/** The backend of the benchmark, a process of its own: takes OTLP/gRPC requests, looks at every record, counts, says OK. */
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { Audit, type AuditSettings, type Tally } from "./audit.ts";
import { answerQuestions } from "./child.ts";

export type BackendQuestion =
  /** Starts a new count. */
  | { readonly expect: AuditSettings }
  /** Waits until so many records are there, or the time is over. */
  | { readonly awaitRecords: number; readonly timeoutMs: number };

export interface BackendAnswer {
  readonly port: number;
  readonly tally: Tally;
  readonly requests: number;
  /** What could not be read; empty in a valid run. */
  readonly problems: readonly string[];
}

// Windows so wide that flow control never slows the server under test.
const WINDOW_SIZE = 64 * 1024 * 1024;
/** gRPC's frame header: one byte for compression, four for the length. */
const GRPC_HEADER_SIZE = 5;
const EMPTY_MESSAGE = Buffer.alloc(GRPC_HEADER_SIZE);

let audit = new Audit({
  shape: { signal: "logs", recordsPerRequest: 1, identity: "resource" },
  recordsMax: 0,
  isIdentified: true,
});
let requests = 0;
let problems: string[] = [];

const server = createServer({ settings: { initialWindowSize: WINDOW_SIZE, maxConcurrentStreams: 1000 } });
server.on("session", (session) => session.setLocalWindowSize(WINDOW_SIZE));
server.on("stream", receive);

function receive(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", (error) => problems.push(String(error)));
  stream.on("end", () => {
    takeMessages(Buffer.concat(chunks));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(EMPTY_MESSAGE);
  });
}

function takeMessages(body: Buffer): void {
  requests++;
  try {
    if (body.readUInt32BE(1) !== body.length - GRPC_HEADER_SIZE) throw new Error("the gRPC frame is not the request");
    const message = body.subarray(GRPC_HEADER_SIZE);
    audit.take(body[0] === 0 ? message : gunzipSync(message));
  } catch (error) {
    problems.push(String(error));
  }
}

async function answer(question: BackendQuestion): Promise<BackendAnswer> {
  if ("expect" in question) {
    audit = new Audit(question.expect);
    requests = 0;
    problems = [];
  } else {
    const deadline = performance.now() + question.timeoutMs;
    while (audit.received < question.awaitRecords && performance.now() < deadline) await sleep(5);
  }
  const { port } = (await listening(server)).address() as AddressInfo;
  return { port, tally: audit.tally(), requests, problems };
}

async function listening(http2: Http2Server): Promise<Http2Server> {
  if (!http2.listening) await new Promise<void>((resolve) => http2.listen(0, "127.0.0.1", resolve));
  return http2;
}

answerQuestions(answer);
