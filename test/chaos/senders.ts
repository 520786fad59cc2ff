/**
 * The senders: each sends one request after another and sends it again, byte for byte, until it is acknowledged.
 * gRPC by grpc-js, as the JavaScript SDKs do; HTTP by node:http.
 */
import { Agent, request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import type { History, SentRequest } from "./history.ts";
import { encodeRecords } from "./records.ts";

type Outcome =
  | { readonly kind: "acknowledged" }
  /** The other side answered: not now. Nothing may be left of the request. */
  | { readonly kind: "refused" }
  /** The other side answered: never. */
  | { readonly kind: "rejected"; readonly text: string }
  /** Nobody was there to be sent to. */
  | { readonly kind: "not_sent" }
  /** It went out, and no answer came. */
  | { readonly kind: "unanswered" };

/** One attempt. */
type Attempt = (body: Buffer) => Promise<Outcome>;

export interface Sender {
  readonly name: string;
  readonly attempt: Attempt;
  close(): void;
}

/** gRPC tells the deadline to the other side, which refuses before it; an HTTP sender has to be more patient than the gateway's 5 s. */
const GRPC_DEADLINE_MS = 4_000;
const HTTP_TIMEOUT_MS = 8_000;

const EXPORT_PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

export function createGrpcSender(port: number): Sender {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    // A gateway that is back is found at once: the run is short.
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 200,
  });
  const asIs = (bytes: Buffer): Buffer => bytes;
  const attempt: Attempt = (body) =>
    new Promise((resolve) => {
      const options = { deadline: Date.now() + GRPC_DEADLINE_MS };
      client.makeUnaryRequest(EXPORT_PATH, asIs, asIs, body, new grpc.Metadata(), options, (error, response) => {
        if (error === null) resolve(judgeResponse(response));
        else resolve(judgeGrpcError(error));
      });
    });
  return { name: "grpc", attempt, close: () => client.close() };
}

/** What grpc-js says by itself has no metadata; an answer of the other side has headers at least. */
function judgeGrpcError(error: grpc.ServiceError): Outcome {
  if (/No connection established|ECONNREFUSED/.test(error.details)) return { kind: "not_sent" };
  if (Object.keys(error.metadata.getMap()).length === 0) return { kind: "unanswered" };
  const hasRetryInfo = error.metadata.get("grpc-status-details-bin").length > 0;
  const isRetryable =
    error.code === grpc.status.UNAVAILABLE || (error.code === grpc.status.RESOURCE_EXHAUSTED && hasRetryInfo);
  return isRetryable ? { kind: "refused" } : { kind: "rejected", text: `${error.code} ${error.details}` };
}

/** The Collector writes out the empty partial success of a full one. */
const EMPTY_PARTIAL_SUCCESS = "0a00";

/** An empty response is full success; one with more says that records were rejected. */
function judgeResponse(response: Buffer = Buffer.alloc(0)): Outcome {
  const isFull = response.length === 0 || response.toString("hex") === EMPTY_PARTIAL_SUCCESS;
  if (isFull) return { kind: "acknowledged" };
  return { kind: "rejected", text: `a partial success: ${response.toString("hex")}` };
}

const RETRYABLE_STATUSES = new Set([429, 502, 503, 504]);

export function createHttpSender(port: number): Sender {
  const agent = new Agent({ keepAlive: true });
  const attempt: Attempt = (body) =>
    new Promise((resolve) => {
      const headers = { "content-type": "application/x-protobuf", "content-length": body.length };
      const options = { host: "127.0.0.1", port, path: "/v1/logs", method: "POST", headers, agent };
      const request = httpRequest({ ...options, timeout: HTTP_TIMEOUT_MS }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", () => resolve({ kind: "unanswered" }));
        response.on("end", () => resolve(judgeHttp(response.statusCode ?? 0, Buffer.concat(chunks))));
      });
      request.on("timeout", () => request.destroy());
      request.on("error", (error: NodeJS.ErrnoException) =>
        resolve({ kind: error.code === "ECONNREFUSED" ? "not_sent" : "unanswered" }),
      );
      request.end(body);
    });
  return { name: "http", attempt, close: () => agent.destroy() };
}

function judgeHttp(status: number, body: Buffer): Outcome {
  if (status === 200) return judgeResponse(body);
  if (RETRYABLE_STATUSES.has(status)) return { kind: "refused" };
  return { kind: "rejected", text: `${status} ${body.toString()}` };
}

export interface LoadSettings {
  readonly history: History;
  readonly senders: readonly Sender[];
  /** Requests of each sender at the same time. */
  readonly atATime: number;
  /** Between two requests. */
  readonly pauseMs: number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

const RECORDS_PER_REQUEST_MAX = 20;

/** Before a request is sent again. */
const RESEND_PAUSE_MS = 100;

/** Keeps all senders busy until it is told that no new requests are wanted. */
export class Load {
  readonly #settings: LoadSettings;
  readonly #workers: readonly Promise<void>[];
  #isFinishing = false;
  #isGivenUp = false;

  constructor(settings: LoadSettings) {
    this.#settings = settings;
    this.#workers = settings.senders.flatMap((sender) =>
      Array.from({ length: settings.atATime }, () => this.#work(sender)),
    );
  }

  /** No new requests: resolves when the open ones are acknowledged, or after `patienceMs` with what is left given up. */
  async finish(patienceMs: number): Promise<void> {
    this.#isFinishing = true;
    const patience = new AbortController();
    const giveUp = sleep(patienceMs, undefined, { signal: patience.signal }).then(
      () => void (this.#isGivenUp = true),
      () => undefined,
    );
    await Promise.all(this.#workers);
    patience.abort();
    await giveUp;
    for (const sender of this.#settings.senders) sender.close();
  }

  async #work(sender: Sender): Promise<void> {
    const { history, pauseMs, random } = this.#settings;
    while (!this.#isFinishing) {
      const request = history.open(1 + Math.floor(random() * RECORDS_PER_REQUEST_MAX));
      await this.#deliver(sender, request);
      await sleep(pauseMs);
    }
  }

  async #deliver(sender: Sender, request: SentRequest): Promise<void> {
    const { history } = this.#settings;
    const body = encodeRecords(request.first, request.count);
    while (!this.#isGivenUp) {
      const startMs = history.nowMs();
      const outcome = await sender.attempt(body);
      if (outcome.kind === "acknowledged") {
        request.acknowledgedMs = history.nowMs();
        return;
      }
      if (outcome.kind === "unanswered") request.unanswered.push({ startMs, endMs: history.nowMs() });
      if (outcome.kind === "refused") request.refusals += 1;
      if (outcome.kind === "rejected") {
        request.rejected = outcome.text;
        return;
      }
      await sleep(RESEND_PAUSE_MS);
    }
  }
}
