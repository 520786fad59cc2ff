import { request as requestHttp } from "node:http";
import { connect } from "node:http2";
import type { IncomingHttpHeaders, IncomingHttpStatusHeader, OutgoingHttpHeaders } from "node:http2";
import * as grpcJs from "@grpc/grpc-js";
import { decodeStatus, GRPC_CODES, statusFromJson } from "../../src/net/rpc-status.ts";
import type { RpcStatus } from "../../src/net/rpc-status.ts";
import { OTLP_METHODS } from "../../src/net/otlp-methods.ts";
import { RawConnection } from "../net/raw-connection.ts";

/** Senders that write exactly what a case says, and write down the answer in a few words that can be compared. */

const PATIENCE_MS = 15_000;

export interface HttpCase {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Uint8Array | string;
  /** Sent in chunks, without a length. */
  readonly isChunked?: boolean;
}

export const JSON_TYPE = { "content-type": "application/json" };
export const PROTOBUF_TYPE = { "content-type": "application/x-protobuf" };

export function sendHttp(port: number, { method = "POST", path = "/v1/logs", ...sent }: HttpCase): Promise<string> {
  const body = Buffer.from(sent.body ?? "");
  const length = sent.isChunked === true ? {} : { "content-length": body.length };
  return new Promise((resolve) => {
    const headers = { ...sent.headers, ...length };
    const options = { host: "127.0.0.1", port, method, path, headers, agent: false, timeout: PATIENCE_MS };
    const request = requestHttp(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => resolve("connection closed"));
      response.on("end", () =>
        resolve(describeHttp(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))),
      );
    });
    request.on("error", () => resolve("connection closed"));
    request.on("timeout", () => {
      resolve("no answer");
      request.destroy();
    });
    request.end(body);
  });
}

/** Bytes as they are, on a plain TCP connection; the answer's first line. */
/** The status alone. */
export async function sendRaw(port: number, text: string | Uint8Array): Promise<string> {
  const said = await exchangeRaw(port, text);
  return said === CLOSED ? said : said.split(" ")[0]!;
}

const CLOSED = "connection closed";

/** The status and what the body says. */
export async function exchangeRaw(port: number, text: string | Uint8Array): Promise<string> {
  const connection = new RawConnection(port);
  try {
    const { status, headers, body } = await connection.write(text).answer();
    return describeHttp(status, Object.fromEntries(headers), body);
  } catch {
    // It closed, or answered in frames of HTTP/2: both are no words for a client of HTTP/1.1.
    return CLOSED;
  } finally {
    connection.destroy();
  }
}

function describeHttp(status: number, headers: IncomingHttpHeaders, body: Buffer): string {
  const type = headers["content-type"]?.split(";")[0] ?? "";
  const { allow } = headers;
  return [
    `${status} ${describeBody(status, type, body)}`.trim(),
    ...(headers["retry-after"] === undefined ? [] : [`Retry-After: ${headers["retry-after"]}`]),
    ...(status === 405 && allow !== undefined ? [`Allow: ${allow}`] : []),
  ].join(", ");
}

function describeBody(status: number, type: string, body: Buffer): string {
  if (type === "application/json") {
    if (status === 200) return body.toString();
    return describeStatus("JSON Status", statusFromJson(body.toString()));
  }
  if (type === "application/x-protobuf") {
    if (status === 200) return body.length === 0 ? "no bytes" : `bytes ${body.toString("hex")}`;
    return describeStatus("protobuf Status", decodeStatus(body));
  }
  return body.length === 0 ? "" : "text";
}

function describeStatus(what: string, status: RpcStatus | undefined): string {
  if (status === undefined) return `no ${what}`;
  const retry = status.retryDelayMs === undefined ? "" : ` with RetryInfo ${status.retryDelayMs / 1000}s`;
  return `${what}${retry}`;
}

export interface GrpcCase {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Frames of gRPC messages as they are sent; default none. */
  readonly body?: Uint8Array;
}

/** A message behind its prefix: flag, length. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

export function sendGrpc(port: number, sent: GrpcCase): Promise<string> {
  const { method = "POST", path = OTLP_METHODS.logs, headers, body } = sent;
  const session = connect(`http://127.0.0.1:${port}`);
  return new Promise<string>((resolve) => {
    session.on("error", () => resolve("connection closed"));
    session.setTimeout(PATIENCE_MS, () => resolve("no answer"));
    const grpc = { "content-type": "application/grpc", te: "trailers" };
    const stream = session.request({ ":method": method, ":path": path, ...grpc, ...headers }, { endStream: false });
    const answer: GrpcAnswer = { headers: {}, trailers: {}, chunks: [] };
    stream.on("response", (fields) => (answer.headers = fields));
    stream.on("trailers", (fields) => (answer.trailers = fields));
    stream.on("data", (chunk: Buffer) => answer.chunks.push(chunk));
    // An answer that comes before the body is through may end in a reset, which takes nothing from it.
    stream.on("error", () => undefined);
    stream.on("close", () => resolve(describeGrpc(answer, stream.rstCode)));
    stream.end(body);
  }).finally(() => session.destroy());
}

interface GrpcAnswer {
  headers: IncomingHttpHeaders & IncomingHttpStatusHeader;
  trailers: IncomingHttpHeaders;
  readonly chunks: Buffer[];
}

const CODE_NAMES = new Map(Object.entries(GRPC_CODES).map(([name, code]) => [String(code), name]));

function describeGrpc({ headers, trailers, chunks }: GrpcAnswer, resetCode: number | undefined): string {
  const code = textOf(trailers["grpc-status"] ?? headers["grpc-status"]);
  if (code === "") {
    const status = headers[":status"];
    return status === undefined ? `stream reset (${resetCode})` : `HTTP ${status}`;
  }
  if (code === "0") return describeResponse(Buffer.concat(chunks));
  const details = textOf(trailers["grpc-status-details-bin"] ?? headers["grpc-status-details-bin"]);
  return describeCode(code, Buffer.from(details, "base64"));
}

/** The Collector compresses its response where the request was; what is in it is the same. */
function describeResponse(framedResponse: Buffer): string {
  if (framedResponse[0] === 1) return "OK, a compressed response";
  const response = framedResponse.subarray(5);
  return response.length === 0 ? "OK, no bytes" : `OK, bytes ${response.toString("hex")}`;
}

function describeCode(code: string, details: Buffer): string {
  const status = details.length === 0 ? undefined : decodeStatus(details);
  const retry = status?.retryDelayMs === undefined ? "" : ` with RetryInfo ${status.retryDelayMs / 1000}s`;
  return `${CODE_NAMES.get(code) ?? code}${retry}`;
}

/**
 * By a client of the house: what is refused before it is whole is answered and reset in one, of which node:http2 as a
 * client shows the reset alone.
 */
export function sendWithGrpcJs(port: number, message: Buffer, compression: "identity" | "gzip"): Promise<string> {
  const codes = { identity: grpcJs.compressionAlgorithms.identity, gzip: grpcJs.compressionAlgorithms.gzip };
  const client = new grpcJs.Client(`127.0.0.1:${port}`, grpcJs.credentials.createInsecure(), {
    "grpc.default_compression_algorithm": codes[compression],
  });
  const asIs = (bytes: Buffer): Buffer => bytes;
  return new Promise<string>((resolve) => {
    const deadline = { deadline: Date.now() + PATIENCE_MS };
    client.makeUnaryRequest(
      OTLP_METHODS.logs,
      asIs,
      asIs,
      message,
      new grpcJs.Metadata(),
      deadline,
      (error, response) => {
        if (error === null) return resolve(describeResponse(framed(response ?? Buffer.alloc(0))));
        const [details] = error.metadata.get("grpc-status-details-bin");
        resolve(describeCode(String(error.code), details instanceof Buffer ? details : Buffer.alloc(0)));
      },
    );
  }).finally(() => client.close());
}

function textOf(value: string | readonly string[] | undefined): string {
  return typeof value === "string" ? value : (value?.[0] ?? "");
}
