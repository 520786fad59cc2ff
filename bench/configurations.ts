/** The two servers' configurations for a case, alike key by key. JSON, which is YAML too. */
import type { Case, Contender } from "./cases.ts";

type Block = Readonly<Record<string, unknown>>;

const BATCH_RECORDS = 8192;
const FLUSH = "200ms";
const UPSERTS = [
  { key: "machine.id", from_attribute: "machine_id", action: "upsert" },
  { key: "worker.id", from_attribute: "worker_id", action: "upsert" },
  { key: "service.type", from_attribute: "service_type", action: "upsert" },
];
const MOVED_KEYS = ["machine.id", "worker.id", "service.type"];

/** The load's spellings to the canonical ones, on each record that has them. */
const TRANSFORM = {
  error_mode: "ignore",
  log_statements: [
    {
      context: "log",
      statements: UPSERTS.flatMap(({ key, from_attribute: from }) => [
        `set(attributes["${key}"], attributes["${from}"]) where attributes["${from}"] != nil`,
        `delete_key(attributes, "${from}")`,
      ]),
    },
  ],
};

const LIMITER = { check_interval: "1s", limit_mib: 1024 };

function workOf({ side, work }: Contender): Block {
  if (work === "pass") return {};
  if (work === "resource") return { resource: { attributes: UPSERTS } };
  if (side === "gateway") return { worker_identity: null };
  return { transform: TRANSFORM, groupbyattrs: { keys: MOVED_KEYS } };
}

function receiver(entry: Case, engine: Block): Block {
  const endpoint = "127.0.0.1:${env:BENCH_PORT}";
  return { otlp: { protocols: { [entry.protocol]: { endpoint, ...engine } } } };
}

function exporter(entry: Case, queue: Block): Block {
  return {
    endpoint: "127.0.0.1:${env:BENCH_BACKEND_PORT}",
    tls: { insecure: true },
    compression: entry.isGzip ? "gzip" : "none",
    sending_queue: queue,
  };
}

/** Nobody is refused when the queue is full: a refused request would make the run void. */
const QUEUE = { block_on_overflow: true, sizer: "items", queue_size: 200_000 };
const BATCHING_QUEUE = { ...QUEUE, batch: { min_size: BATCH_RECORDS, flush_timeout: FLUSH } };

/** The folder is new for each start of a server. */
function storageOf({ side, storage }: Contender): Block {
  if (storage === "memory") return {};
  const fsync = side === "collector" && { fsync: storage === "disk with fsync" };
  return { file_storage: { directory: "${env:BENCH_QUEUE}", ...fsync } };
}

export function configurationOf(entry: Case, contender: Contender): string {
  const { side, batching, engine } = contender;
  const extensions = storageOf(contender);
  const stored = contender.storage === "memory" ? {} : { storage: "file_storage" };
  const isBatchedBefore = side === "collector" && batching === "processor";
  const processors: Block = {
    memory_limiter: LIMITER,
    ...workOf(contender),
    ...(isBatchedBefore && { batch: { send_batch_size: BATCH_RECORDS, timeout: FLUSH } }),
  };
  const engineKey = side === "gateway" && entry.protocol === "grpc" ? { engine } : {};
  // The name of today; 0.149 knows the old one only.
  const exporterId = side === "collector" && entry.collector === "contrib" ? "otlp" : "otlp_grpc";
  const quiet = side === "collector" ? { telemetry: { metrics: { level: "none" }, logs: { level: "warn" } } } : {};
  const pipeline = { receivers: ["otlp"], processors: Object.keys(processors), exporters: [exporterId] };
  return JSON.stringify(
    {
      extensions,
      receivers: receiver(entry, engineKey),
      processors,
      exporters: { [exporterId]: exporter(entry, { ...(isBatchedBefore ? QUEUE : BATCHING_QUEUE), ...stored }) },
      service: { ...quiet, extensions: Object.keys(extensions), pipelines: { [entry.shape.signal]: pipeline } },
    },
    null,
    2,
  );
}
