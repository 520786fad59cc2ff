import { z } from "zod";
import {
  block,
  byteSize,
  defaultBlock,
  duration,
  endpoint,
  optionalBlock,
  refuse,
  secret,
  secretMap,
  url,
  withFix,
  withoutEffect,
} from "../../src/config/types.ts";
import { factoryLookup } from "../../src/config/configuration.ts";
import type {
  ComponentFactory,
  ExporterFactory,
  ExtensionFactory,
  ProcessorFactory,
  ReceiverFactory,
} from "../../src/core/component.ts";
import type { Signal } from "../../src/core/signal.ts";
import { SIGNALS } from "../../src/core/signal.ts";

/** Loading never creates a component, so these factories only have what loading reads. */
function neverCreated(): never {
  throw new Error("loading a configuration must not create components");
}

function receiver(type: string, config: z.ZodType, signals: readonly Signal[] = SIGNALS): ReceiverFactory {
  return { kind: "receiver", type, config, signals, create: neverCreated };
}

function processor(type: string, config: z.ZodType): ProcessorFactory {
  return { kind: "processor", type, config, signals: SIGNALS, create: neverCreated };
}

function exporter(type: string, config: z.ZodType, deprecatedTypes: readonly string[] = []): ExporterFactory {
  return {
    kind: "exporter",
    type,
    config,
    deprecatedTypes,
    signals: SIGNALS,
    delivery: "required",
    create: neverCreated,
  };
}

function extension(type: string, config: z.ZodType): ExtensionFactory {
  return { kind: "extension", type, config, signals: [], create: neverCreated };
}

const server = block({
  endpoint: endpoint({ default: "localhost:4317" }).describe("Where it listens."),
  max_recv_msg_size_mib: z.int().min(0).default(0).describe("The largest message."),
  include_metadata: z.boolean().default(false).describe("Keeps the headers for processors."),
  read_buffer_size: withoutEffect(byteSize().optional(), "Node has no such buffer").describe("Read buffer."),
});

const otlpReceiver = block({
  protocols: defaultBlock({
    grpc: optionalBlock(server).describe("OTLP over gRPC."),
    http: optionalBlock(server).describe("OTLP over HTTP."),
  })
    .superRefine((protocols, context) => {
      if (protocols.grpc !== undefined || protocols.http !== undefined) return;
      refuse(context, {
        message: "must specify at least one protocol when using the OTLP receiver",
        fix: "write grpc: or http: below it",
      });
    })
    .describe("The protocols that are served."),
});

const tailSampling = block({
  decision_wait: duration({ default: "30s", positive: true, max: "1h" }).describe("Time until the decision."),
  num_traces: z.int().min(1).default(50_000).describe("Traces that are held."),
  policies: z
    .array(
      z.discriminatedUnion("type", [
        block({ name: z.string().describe("Name."), type: z.literal("always_sample").describe("Keeps all.") }),
        block({
          name: z.string().describe("Name."),
          type: z.literal("latency").describe("Keeps slow ones."),
          threshold_ms: z.number().min(0).describe("From here on it is slow."),
        }),
      ]),
    )
    .default([])
    .describe("What is kept."),
});

const batch = block({
  timeout: duration({ default: "200ms" }).describe("The longest wait."),
  send_batch_size: z.int().min(0).default(8192).describe("The size that is sent at once."),
  send_batch_max_size: z.int().min(0).default(0).describe("The largest batch; 0 is no limit."),
}).superRefine((config, context) => {
  if (config.send_batch_max_size === 0 || config.send_batch_max_size >= config.send_batch_size) return;
  refuse(context, {
    path: ["send_batch_max_size"],
    message: `send_batch_max_size must be greater or equal to send_batch_size (${config.send_batch_size})`,
    fix: `write at least ${config.send_batch_size}, or leave it out`,
  });
});

const otlpExporter = block({
  endpoint: endpoint({ dial: true }).describe("The backend's address."),
  compression: z.enum(["gzip", "zstd", "none"]).default("gzip").describe("How requests are compressed."),
  headers: secretMap().describe("Headers sent with every request."),
  token: secret().optional().describe("A token."),
  timeout: duration({ default: "5s" }).describe("Time for one attempt."),
  authority: z.string().optional().describe("The name asked for."),
  proxy_url: url().optional().describe("A proxy."),
  labels: z.record(z.string(), z.string()).default({}).describe("Labels."),
  names: z.array(z.string()).default([]).describe("Names."),
  max_size: byteSize({ default: "4MiB", max: "64MiB" }).describe("The largest request."),
  level: withFix(z.int().min(1).max(9).default(6), "write 1 for fast or 9 for small").describe("Compression level."),
  tls: defaultBlock({ insecure: z.boolean().default(false).describe("Plain text.") }).describe(
    "TLS towards the backend.",
  ),
  sending_queue: defaultBlock({
    enabled: z.boolean().default(true).describe("Queues at all."),
    queue_size: z.int().min(1).default(1000).describe("Its size."),
    batch: optionalBlock(
      block({ flush_timeout: duration({ default: "200ms" }).describe("The longest wait.") }),
    ).describe("Batching."),
  }).describe("The queue."),
});

const localStore = block({
  directory: z.string().default("data").describe("Where it lies."),
  max_size: z
    .union([byteSize(), z.literal("unlimited")])
    .default("unlimited")
    .describe("Its bound."),
});

export const TEST_FACTORIES: readonly ComponentFactory[] = [
  receiver("otlp", otlpReceiver),
  receiver("spans_only", block({}), ["traces"]),
  processor("batch", batch),
  processor(
    "memory_limiter",
    block({
      check_interval: duration({ positive: true }).describe("Time between checks."),
      limit_mib: z.int().min(1).describe("The limit."),
    }),
  ),
  processor("tail_sampling", tailSampling),
  exporter("otlp_grpc", otlpExporter, ["otlp"]),
  exporter("local_store", localStore),
  exporter(
    "debug",
    block({ verbosity: z.enum(["basic", "normal", "detailed"]).default("basic").describe("How much.") }),
  ),
  extension(
    "health_check",
    block({ endpoint: endpoint({ default: "localhost:13133" }).describe("Where it answers.") }),
  ),
];

export const TEST_LOOKUP = factoryLookup(TEST_FACTORIES);
