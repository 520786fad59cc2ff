/** One call on one HTTP/2 stream, from its first header to its status; grpc-wire.ts has the layout. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";
import { ANSWER_BYTES_MAX } from "./backend-answers.ts";
import { decodeContent } from "./content-coding.ts";
import type { GrpcReply } from "./grpc-client.ts";
import { GRPC_ENCODINGS, PREFIX_BYTES } from "./grpc-wire.ts";
import { GRPC_CODES } from "./rpc-status.ts";

export interface ExchangeRequest {
  readonly headers: OutgoingHttpHeaders;
  /** The message behind its prefix. */
  readonly frame: Uint8Array;
}

/**
 * unprocessed: the backend has not looked at it, by its own words (REFUSED_STREAM, a GOAWAY before it) or because nothing
 * of it was sent. It may be sent again, elsewhere, without becoming two.
 */
export type Outcome = { readonly kind: "reply"; readonly reply: GrpcReply } | { readonly kind: "unprocessed" };

export const UNPROCESSED: Outcome = { kind: "unprocessed" };

/** What an HTTP status means where no gRPC status came (gRPC's http-grpc-status-mapping.md). */
const HTTP_STATUS_CODES: ReadonlyMap<number, number> = new Map([
  [400, GRPC_CODES.INTERNAL],
  [401, GRPC_CODES.UNAUTHENTICATED],
  [403, GRPC_CODES.PERMISSION_DENIED],
  [404, GRPC_CODES.UNIMPLEMENTED],
  [429, GRPC_CODES.UNAVAILABLE],
  [502, GRPC_CODES.UNAVAILABLE],
  [503, GRPC_CODES.UNAVAILABLE],
  [504, GRPC_CODES.UNAVAILABLE],
]);

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM, HTTP2_HEADER_STATUS } = constants;

/** `isBeyondGoaway` says of a stream's id that the backend has announced not to look at it. Never rejects. */
export async function exchange(
  session: ClientHttp2Session,
  { headers, frame }: ExchangeRequest,
  signal: AbortSignal,
  isBeyondGoaway: (streamId: number) => boolean,
): Promise<Outcome> {
  const stream = openStream(session, headers);
  if (stream === undefined) return UNPROCESSED;
  const answer = new Answer(stream, session, isBeyondGoaway);
  const cancel = (): void => stream.close(NGHTTP2_CANCEL);
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  else stream.end(frame);
  const outcome = await answer.outcome;
  signal.removeEventListener("abort", cancel);
  return outcome;
}

function openStream(session: ClientHttp2Session, headers: OutgoingHttpHeaders): ClientHttp2Stream | undefined {
  try {
    return session.request(headers, { endStream: false });
  } catch {
    // The session closed since it was picked; nothing was sent.
    return undefined;
  }
}

class Answer {
  readonly outcome: Promise<Outcome>;
  readonly #stream: ClientHttp2Stream;
  readonly #session: ClientHttp2Session;
  readonly #isBeyondGoaway: (streamId: number) => boolean;
  #resolve!: (outcome: Outcome) => void;
  #headers: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #chunks: Buffer[] = [];
  #size = 0;
  /** -1 until the message's prefix is there. */
  #declaredSize = -1;

  constructor(stream: ClientHttp2Stream, session: ClientHttp2Session, isBeyondGoaway: (streamId: number) => boolean) {
    this.#stream = stream;
    this.#session = session;
    this.#isBeyondGoaway = isBeyondGoaway;
    this.outcome = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    stream.on("response", (headers) => {
      this.#headers = headers;
    });
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers;
    });
    stream.on("data", (chunk: Buffer) => this.#take(chunk));
    stream.on("end", () => this.#end());
    // What it says is in rstCode and in the session's state; `close` follows.
    stream.on("error", () => undefined);
    stream.on("close", () => this.#close());
  }

  get #status(): IncomingHttpHeaders | undefined {
    return [this.#trailers, this.#headers].find((headers) => headers?.["grpc-status"] !== undefined);
  }

  #take(chunk: Buffer): void {
    this.#size += chunk.length;
    this.#chunks.push(chunk);
    if (this.#declaredSize < 0 && this.#size >= PREFIX_BYTES) {
      this.#chunks = [Buffer.concat(this.#chunks)];
      this.#declaredSize = this.#chunks[0]!.readUInt32BE(1);
    }
    const size = Math.max(this.#declaredSize, this.#size - PREFIX_BYTES);
    if (size <= ANSWER_BYTES_MAX) return;
    this.#chunks = [];
    this.#fail(GRPC_CODES.RESOURCE_EXHAUSTED, tooLarge(size));
    this.#stream.close(NGHTTP2_CANCEL);
  }

  /** An answer may end while the request is still being sent, as a refusal does: then the rest is not wanted. */
  #end(): void {
    const status = this.#status;
    if (status === undefined) return;
    void this.#finish(status);
    if (!this.#stream.writableFinished) this.#stream.close(NGHTTP2_CANCEL);
  }

  #close(): void {
    const status = this.#status;
    if (status !== undefined) return void this.#finish(status);
    const { id, rstCode } = this.#stream;
    const isSent = id !== undefined && id > 0;
    if (!isSent || (!this.#headers && (rstCode === NGHTTP2_REFUSED_STREAM || this.#isBeyondGoaway(id)))) {
      return this.#resolve(UNPROCESSED);
    }
    const httpStatus = Number(this.#headers?.[HTTP2_HEADER_STATUS] ?? 200);
    if (httpStatus !== 200) {
      const code = HTTP_STATUS_CODES.get(httpStatus) ?? GRPC_CODES.UNKNOWN;
      return this.#fail(code, `Received HTTP status code ${httpStatus}`);
    }
    const isDropped = this.#session.destroyed;
    this.#fail(GRPC_CODES.UNAVAILABLE, isDropped ? "Connection dropped" : `Received RST_STREAM with code ${rstCode}`);
  }

  #fail(code: number, details: string): void {
    const hasHeaders = this.#headers !== undefined;
    this.#resolve({ kind: "reply", reply: { code, details, hasHeaders, isAnswered: hasHeaders } });
  }

  async #finish(status: IncomingHttpHeaders): Promise<void> {
    const code = Number(status["grpc-status"]);
    const details = decodeGrpcMessage(String(status["grpc-message"] ?? ""));
    const said = { code, details, hasHeaders: status !== this.#headers, isAnswered: true };
    const statusBytes = status["grpc-status-details-bin"];
    if (code !== GRPC_CODES.OK) {
      const reply = statusBytes === undefined ? said : { ...said, statusBytes: decodeBinary(statusBytes) };
      return this.#resolve({ kind: "reply", reply });
    }
    const encoding = String(this.#headers?.["grpc-encoding"] ?? "identity");
    const message = await decodeMessage(Buffer.concat(this.#chunks), encoding);
    if (message !== undefined) return this.#resolve({ kind: "reply", reply: { ...said, message } });
    this.#fail(GRPC_CODES.RESOURCE_EXHAUSTED, tooLarge(Infinity));
  }
}

/** In the words of grpc-js, by which the exporter knows it. */
function tooLarge(size: number): string {
  return `Received message larger than max (${size} vs ${ANSWER_BYTES_MAX})`;
}

/**
 * The backend took the request, whatever its message is: one that cannot be read is handed on as it is, and found to be
 * no response of OTLP. undefined where it is too large.
 */
async function decodeMessage(frame: Buffer, encoding: string): Promise<Buffer | undefined> {
  const body = frame.subarray(PREFIX_BYTES);
  if (frame.length < PREFIX_BYTES || frame[0] === 0) return body;
  const coding = GRPC_ENCODINGS.get(encoding);
  return coding === undefined ? body : decodeContent(coding, body, ANSWER_BYTES_MAX).catch(() => body);
}

/** `grpc-message`: percent-encoded UTF-8; what is no such encoding stands for itself. */
function decodeGrpcMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Another program's mistake; its words are still the best there are.
    return text;
  }
}

function decodeBinary(value: string | string[]): Uint8Array {
  return Buffer.from(typeof value === "string" ? value : (value[0] ?? ""), "base64");
}
