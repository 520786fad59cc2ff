import { Client, Metadata } from "@grpc/grpc-js";
import type { ChannelCredentials, ClientOptions, ServiceError } from "@grpc/grpc-js";
import type { Clock } from "../../core/clock.ts";
import { type GrpcCall, type GrpcClient, type GrpcReply, SILENT_CALLS_MAX } from "../../net/grpc-client.ts";

export interface GrpcJsSettings {
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: ClientOptions;
  readonly headers: Readonly<Record<string, string>>;
  readonly waitForReady: boolean;
  readonly clock: Clock;
}

/** One channel to the backend. Calls under way on a channel that is replaced go on to their end. */
export class GrpcJsClient implements GrpcClient {
  readonly #settings: GrpcJsSettings;
  #credentials: ChannelCredentials;
  #client: Client;
  #silentCalls = 0;

  constructor(settings: GrpcJsSettings) {
    this.#settings = settings;
    this.#credentials = settings.credentials;
    this.#client = this.#open();
  }

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
      const { path, message, timeoutMs } = call;
      const options = timeoutMs === 0 ? {} : { deadline: this.#settings.clock.nowMs() + timeoutMs };
      const underWay = client.makeUnaryRequest(path, passOn, passOn, message, this.#metadata(), options, finish);
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

  /** For connections from now on. */
  replaceCredentials(credentials: ChannelCredentials): void {
    this.#credentials = credentials;
    this.#replace();
  }

  /** A new one for each call: grpc-js and its filters write into it. */
  #metadata(): Metadata {
    const { headers, waitForReady } = this.#settings;
    const metadata = new Metadata({ waitForReady });
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return metadata;
  }

  #watch(client: Client, reply: GrpcReply, isAborted: boolean): void {
    // A call that a replaced channel still carried says nothing about the new one.
    if (client !== this.#client) return;
    const isSilent = !reply.isAnswered && (isAborted || DEADLINE_PATTERN.test(reply.details));
    this.#silentCalls = isSilent ? this.#silentCalls + 1 : 0;
    if (this.#silentCalls >= SILENT_CALLS_MAX) this.#replace();
  }

  #replace(): void {
    const replaced = this.#client;
    this.#silentCalls = 0;
    this.#client = this.#open();
    replaced.close();
  }

  #open(): Client {
    return new Client(this.#settings.target, this.#credentials, this.#settings.options);
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
