import { Client, credentials, status } from "@grpc/grpc-js";
import { request as requestHttp } from "node:http";
import type { Listening } from "../../src/core/component.ts";
import { OTLP_METHODS } from "../../src/net/otlp-methods.ts";
import type { ReceiverRequest, SendOutcome } from "./contract.ts";

function addressOf(listening: readonly Listening[], what: string): string {
  const found = listening.find((one) => one.what === what);
  if (found === undefined) throw new Error(`nothing listens for ${what}`);
  return found.address;
}

const RETRYABLE_CODES: ReadonlySet<number> = new Set([status.UNAVAILABLE, status.RESOURCE_EXHAUSTED]);

/** One Export call on a channel of its own. */
export function sendGrpc({ listening, signal, bytes, abort }: ReceiverRequest): Promise<SendOutcome> {
  const address = addressOf(listening, "OTLP/gRPC");
  // A pool of connections that outlives the client would be found as left behind by the receiver.
  const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const asIs = (message: Buffer): Buffer => message;
  return new Promise((resolve) => {
    const call = client.makeUnaryRequest(OTLP_METHODS[signal], asIs, asIs, Buffer.from(bytes), (error) => {
      client.close();
      if (error === null) return resolve("accepted");
      const isFromServer = (error.metadata?.get("content-type") ?? []).length > 0;
      if (!isFromServer) return resolve("unreachable");
      return resolve(RETRYABLE_CODES.has(error.code) ? "retryable" : "permanent");
    });
    abort?.addEventListener("abort", () => call.cancel(), { once: true });
  });
}

export function sendHttp({ listening, signal, bytes, abort }: ReceiverRequest): Promise<SendOutcome> {
  const url = `${addressOf(listening, "OTLP/HTTP")}/v1/${signal}`;
  const headers = { "content-type": "application/x-protobuf", "content-length": bytes.byteLength };
  return new Promise((resolve) => {
    const post = requestHttp(url, {
      method: "POST",
      headers,
      agent: false,
      ...(abort !== undefined && { signal: abort }),
    });
    post.once("error", () => resolve("unreachable"));
    post.once("response", (response) => {
      response.resume();
      response.once("close", () => resolve(outcomeOf(response.statusCode ?? 0)));
    });
    post.end(bytes);
  });
}

function outcomeOf(code: number): SendOutcome {
  if (code >= 200 && code < 300) return "accepted";
  return [429, 502, 503, 504].includes(code) ? "retryable" : "permanent";
}
