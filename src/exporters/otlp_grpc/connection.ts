import { Client } from "@grpc/grpc-js";
import type { CallOptions, ChannelCredentials, ClientOptions, Metadata, ServiceError } from "@grpc/grpc-js";

export interface GrpcReply {
  readonly code: number;
  readonly details: string;
  /** grpc-status-details-bin. */
  readonly statusBytes?: Uint8Array;
  /** The answer's message; present with code OK only. */
  readonly message?: Buffer;
  /** Headers came before the status, so that what failed may have failed while the answer's message was read. */
  readonly hasHeaders: boolean;
  /** The backend said something, if only a refusal. */
  readonly isAnswered: boolean;
}

export interface GrpcCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly message: Buffer;
  readonly metadata: Metadata;
  readonly options: CallOptions;
}

/**
 * Attempts in a row that may end without a sign of the backend before the channel is replaced. A connection whose peer
 * vanished without a word (a lost node, a NAT that forgot it) stays open in TCP's eyes for a quarter of an hour, and
 * every request on it would time out. If the backend is only slow, this costs one connection per wave of timeouts.
 */
const SILENT_CALLS_MAX = 2;

/** One channel to the backend. Calls under way on a channel that is replaced go on to their end. */
export class GrpcConnection {
  readonly #target: string;
  readonly #credentials: ChannelCredentials;
  readonly #options: ClientOptions;
  #client: Client;
  #silentCalls = 0;

  constructor(target: string, channelCredentials: ChannelCredentials, options: ClientOptions) {
    this.#target = target;
    this.#credentials = channelCredentials;
    this.#options = options;
    this.#client = this.#open();
  }

  /** Never rejects: whatever happens is a reply with a code. Aborting cancels the call, which the backend sees. */
  call(call: GrpcCall, signal: AbortSignal): Promise<GrpcReply> {
    const client = this.#client;
    return new Promise((resolve) => {
      let hasHeaders = false;
      const finish = (error: ServiceError | null, message?: Buffer): void => {
        signal.removeEventListener("abort", cancel);
        const reply = error === null ? createReply(message) : createErrorReply(error, hasHeaders);
        this.#watch(client, reply, signal.aborted);
        resolve(reply);
      };
      const { path, message, metadata, options } = call;
      const underWay = client.makeUnaryRequest(path, passOn, passOn, message, metadata, options, finish);
      const cancel = (): void => underWay.cancel();
      underWay.on("metadata", () => {
        hasHeaders = true;
      });
      signal.addEventListener("abort", cancel, { once: true });
    });
  }

  close(): void {
    this.#client.close();
  }

  #watch(client: Client, reply: GrpcReply, isAborted: boolean): void {
    // A call that a replaced channel still carried says nothing about the new one.
    if (client !== this.#client) return;
    const isSilent = !reply.isAnswered && (isAborted || DEADLINE_PATTERN.test(reply.details));
    this.#silentCalls = isSilent ? this.#silentCalls + 1 : 0;
    if (this.#silentCalls < SILENT_CALLS_MAX) return;
    this.#silentCalls = 0;
    this.#client = this.#open();
    client.close();
  }

  #open(): Client {
    return new Client(this.#target, this.#credentials, this.#options);
  }
}

// grpc-js's own words for a deadline that passed on this side.
const DEADLINE_PATTERN = /^Deadline exceeded after/;

function passOn(bytes: Buffer): Buffer {
  return bytes;
}

function createReply(message: Buffer | undefined): GrpcReply {
  return { code: 0, details: "", message: message ?? Buffer.alloc(0), hasHeaders: true, isAnswered: true };
}

function createErrorReply(error: ServiceError, hasHeaders: boolean): GrpcReply {
  const [statusBytes] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const { code, details } = error;
  const reply = { code, details, hasHeaders, isAnswered: hasHeaders || isFromBackend(error) };
  return Buffer.isBuffer(statusBytes) ? { ...reply, statusBytes } : reply;
}

/** A refusal may come as trailers only; these always carry a content type, which a status made up here does not. */
function isFromBackend(error: ServiceError): boolean {
  return (error.metadata?.get("content-type") ?? []).length > 0;
}
