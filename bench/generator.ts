/** The load generator, a process of its own: a fixed number of requests, a fixed number of them under way at once. */
import { connect, constants, type ClientHttp2Session } from "node:http2";
import { answerQuestions } from "./child.ts";
import { encodeRequest, numberRecords, RECORDS_PER_REQUEST, WORKERS } from "./load.ts";

export interface GeneratorQuestion {
  readonly port: number;
  /** Numbers of the requests: `first` to `first + count - 1`. */
  readonly first: number;
  readonly count: number;
  readonly inFlight: number;
  readonly connections: number;
  /** No new request after this time; the run is void then. */
  readonly timeoutMs: number;
}

export interface GeneratorAnswer {
  readonly acknowledged: number;
  readonly durationMs: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** What was not answered with OK. The first one ends the run, so there is at most one for each request under way. */
  readonly failures: readonly string[];
}

const HEADERS = {
  [constants.HTTP2_HEADER_METHOD]: "POST",
  [constants.HTTP2_HEADER_PATH]: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
  te: "trailers",
};

const templates = WORKERS.map(encodeRequest);

/** One lane has one request under way at a time, and its own buffers: a frame must not change while the socket reads it. */
class Lane {
  readonly #session: ClientHttp2Session;
  readonly #frames = templates.map(({ frame }) => Buffer.from(frame));

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  /** Resolves with what is wrong, or undefined. */
  send(requestNumber: number): Promise<string | undefined> {
    const kind = requestNumber % templates.length;
    const frame = this.#frames[kind]!;
    numberRecords(frame, templates[kind]!, requestNumber * RECORDS_PER_REQUEST);
    return new Promise((resolve) => {
      const stream = this.#session.request(HEADERS);
      let status: string | undefined;
      let problem: string | undefined;
      const readStatus = (headers: Record<string, unknown>): void => {
        const value = headers["grpc-status"];
        if (typeof value === "string") status = value;
        if (status !== undefined && status !== "0") problem = `${status} ${String(headers["grpc-message"])}`;
      };
      stream.on("response", readStatus);
      stream.on("trailers", readStatus);
      stream.on("error", (error) => (problem = String(error)));
      stream.on("close", () => resolve(problem ?? (status === "0" ? undefined : "no grpc-status")));
      stream.resume();
      stream.end(frame);
    });
  }
}

async function run(question: GeneratorQuestion): Promise<GeneratorAnswer> {
  const { port, first, count, inFlight, connections, timeoutMs } = question;
  const sessions = Array.from({ length: connections }, () => connect(`http://127.0.0.1:${port}`));
  const failures: string[] = [];
  for (const session of sessions) session.on("error", (error) => failures.push(String(error)));
  const latencies = new Float64Array(count);
  let next = 0;
  let acknowledged = 0;
  const start = performance.now();
  const work = async (lane: Lane): Promise<void> => {
    while (next < count && failures.length === 0 && performance.now() - start < timeoutMs) {
      const number = next++;
      const sentAt = performance.now();
      const problem = await lane.send(first + number);
      latencies[number] = performance.now() - sentAt;
      if (problem === undefined) acknowledged++;
      else failures.push(problem);
    }
  };
  const lanes = Array.from({ length: inFlight }, (_, index) => new Lane(sessions[index % connections]!));
  await Promise.all(lanes.map(work));
  const durationMs = performance.now() - start;
  for (const session of sessions) session.close();
  return { acknowledged, durationMs, latencyMs: percentiles(latencies.subarray(0, next)), failures };
}

function percentiles(latencies: Float64Array): GeneratorAnswer["latencyMs"] {
  const sorted = latencies.toSorted();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

answerQuestions(run);
