import { z } from "zod";
import { block, byteSize, duration, endpoint, parseEndpoint, refuse, secret } from "../../config/types.ts";
import { retrySchema, sendingQueueSchema, timeoutSchema } from "../../queue/config.ts";
import { isLoopbackHost } from "../../store/api-guard.ts";

const configBlock = block({
  directory: z.string().min(1).default(".signalbox").describe("The folder of the store; created where it is missing."),
  endpoint: endpoint({ default: "127.0.0.1:4319" }).describe("Where the store's HTTP API listens."),
  token: secret().optional().describe("What the API asks for as a bearer token; needed beyond the loopback."),
  max_bytes: byteSize({ default: "1GiB", min: "16MiB" }).describe("The store's size; the oldest is forgotten first."),
  max_age: duration({ default: "168h", positive: true, max: "87600h" }).describe(
    "What arrived longer ago is forgotten.",
  ),
  timeout: timeoutSchema("30s").describe("Time for one attempt to write."),
  retry_on_failure: retrySchema.describe("When a failed write is tried again."),
  sending_queue: sendingQueueSchema.describe("The queue before the store."),
});

export type LocalStoreConfig = z.output<typeof configBlock>;

export const localStoreConfig = configBlock.superRefine((config, context) => {
  const parsed = parseEndpoint(config.endpoint);
  // Its own schema has reported an endpoint that cannot be read.
  if ("problem" in parsed || isLoopbackHost(parsed.host)) return;
  if (config.token === undefined) {
    const message = "an endpoint beyond the loopback shows every log to the network, and needs a token";
    refuse(context, {
      path: ["endpoint"],
      message,
      fix: 'write "127.0.0.1:4319", or set token: "${env:SIGNALBOX_TOKEN}"',
    });
  }
});
