/** What is compared: the table's cases, who runs in each, and the bars that were set. */
import type { LoadShape, Signal } from "./load.ts";

/** What a server does with the records between its door and its exporter. */
export type Work =
  /** Nothing. */
  | "pass"
  /** Three upserts on the resource, by the processor `resource` of either side. */
  | "resource"
  /** Who sent it, wherever it stands: ours `worker_identity`, theirs `transform` and `groupbyattrs`. */
  | "identity";

export interface Contender {
  readonly side: "gateway" | "collector";
  readonly work: Work;
  readonly engine: "http2" | "grpc_js";
  /** Where the Collector batches: behind its queue, or in its processor `batch` before it. */
  readonly batching: "queue" | "processor";
  /** Where the queue lies: in memory, or on the disk by file_storage; fsync is the Collector's key, and ours is always so. */
  readonly storage: "memory" | "disk" | "disk with fsync";
}

export interface Case {
  readonly name: string;
  readonly shape: LoadShape;
  readonly protocol: "grpc" | "http";
  readonly isGzip: boolean;
  /** Undefined: as many as are answered. */
  readonly recordsPerSecond: number | undefined;
  /** The Collector that has what the case needs. */
  readonly collector: "core" | "contrib";
  readonly contenders: readonly Contender[];
}

const OURS: Contender = { side: "gateway", work: "resource", engine: "http2", batching: "queue", storage: "memory" };
const THEIRS: Contender = { ...OURS, side: "collector" };

function both(work: Work): Contender[] {
  return (["queue", "processor"] as const).map((batching) => ({ ...THEIRS, work, batching }));
}

const RESOURCE = [OURS, ...both("resource")];
const IDENTITY: Contender = { ...OURS, work: "identity" };
const DURABLE: Contender = { ...OURS, storage: "disk with fsync" };
/** The Collector's file_storage as it is by default, which is its row in ratios, and with fsync, which promises what ours does. */
const DURABLE_THEIRS: Contender[] = [
  { ...THEIRS, storage: "disk" },
  { ...THEIRS, storage: "disk with fsync" },
];
const WITH_IDENTITY = [OURS, IDENTITY, ...both("resource")];

function shape(signal: Signal, recordsPerRequest: number, identity: LoadShape["identity"] = "resource"): LoadShape {
  return { signal, recordsPerRequest, identity };
}

const LOGS_100: Omit<Case, "name" | "contenders"> = {
  shape: shape("logs", 100),
  protocol: "grpc",
  isGzip: false,
  recordsPerSecond: undefined,
  collector: "contrib",
};

export const CASES: readonly Case[] = [
  {
    ...LOGS_100,
    name: "pass logs 100",
    collector: "core",
    contenders: [{ ...OURS, work: "pass" }, ...both("pass")],
  },
  { ...LOGS_100, name: "logs 10", shape: shape("logs", 10), contenders: WITH_IDENTITY },
  { ...LOGS_100, name: "logs 100", contenders: [{ ...OURS, engine: "grpc_js" }, ...WITH_IDENTITY] },
  { ...LOGS_100, name: "logs 512", shape: shape("logs", 512), contenders: WITH_IDENTITY },
  { ...LOGS_100, name: "logs 100 http", protocol: "http", contenders: RESOURCE },
  { ...LOGS_100, name: "logs 100 gzip", isGzip: true, contenders: RESOURCE },
  { ...LOGS_100, name: "traces 100", shape: shape("traces", 100), contenders: RESOURCE },
  { ...LOGS_100, name: "metrics 100", shape: shape("metrics", 100), contenders: RESOURCE },
  {
    ...LOGS_100,
    name: "logs 100 moved",
    shape: shape("logs", 100, "records"),
    contenders: [IDENTITY, ...both("identity")],
  },
  { ...LOGS_100, name: "logs 100 durable", contenders: [OURS, DURABLE, ...DURABLE_THEIRS] },
  {
    ...LOGS_100,
    name: "durable acks at 1k/s",
    shape: shape("logs", 10),
    recordsPerSecond: 10_000,
    contenders: [OURS, DURABLE, ...DURABLE_THEIRS],
  },
  { ...LOGS_100, name: "logs 100 at 10k/s", recordsPerSecond: 10_000, contenders: [IDENTITY, ...both("resource")] },
  { ...LOGS_100, name: "logs 100 at 60k/s", recordsPerSecond: 60_000, contenders: [IDENTITY, ...both("resource")] },
];

/** `collector resource, processor` and the like; the Collector's two ways of batching are one row of the table. */
export function contenderName({ side, work, engine, storage }: Contender): string {
  const what = side === "gateway" && work === "identity" ? "worker_identity" : work;
  const shown = side === "collector" && work === "identity" ? "transform, groupbyattrs" : what;
  return `${side} ${shown}${engine === "grpc_js" ? " (grpc_js)" : ""}${storage === "memory" ? "" : `, queue on ${storage}`}`;
}

export interface Bar {
  readonly case: string;
  /** As contenderName() has it. */
  readonly contender: string;
  readonly figure: "cpu" | "startMs" | "idleMib" | "peakMib" | "p50Ms" | "p99Ms";
  /** A share of the Collector's figure, or of that of `beside`, or the figure itself. */
  readonly kind: "ratio" | "value";
  /** Another contender of the case, as contenderName() has it. Default: the Collector. */
  readonly beside?: string;
  readonly max: number;
}

const RESOURCE_NAME = contenderName(OURS);
const DURABLE_NAME = contenderName(DURABLE);
const IDENTITY_NAME = contenderName(IDENTITY);

/** What was asked for. */
export const BARS: readonly Bar[] = [
  { case: "logs 100", contender: RESOURCE_NAME, figure: "cpu", kind: "ratio", max: 0.8 },
  { case: "logs 512", contender: RESOURCE_NAME, figure: "cpu", kind: "ratio", max: 0.7 },
  { case: "logs 100", contender: IDENTITY_NAME, figure: "cpu", kind: "ratio", max: 1 },
  { case: "logs 512", contender: IDENTITY_NAME, figure: "cpu", kind: "ratio", max: 0.8 },
  { case: "logs 100 moved", contender: IDENTITY_NAME, figure: "cpu", kind: "ratio", max: 0.6 },
  { case: "logs 100 http", contender: RESOURCE_NAME, figure: "cpu", kind: "ratio", max: 0.6 },
  { case: "logs 100", contender: IDENTITY_NAME, figure: "startMs", kind: "value", max: 1000 },
  { case: "logs 100", contender: IDENTITY_NAME, figure: "idleMib", kind: "value", max: 90 },
  { case: "logs 100 durable", contender: DURABLE_NAME, figure: "cpu", kind: "ratio", beside: RESOURCE_NAME, max: 1.35 },
  { case: "logs 100 durable", contender: DURABLE_NAME, figure: "cpu", kind: "ratio", max: 1 },
  { case: "durable acks at 1k/s", contender: DURABLE_NAME, figure: "p50Ms", kind: "value", max: 5 },
  { case: "durable acks at 1k/s", contender: DURABLE_NAME, figure: "p99Ms", kind: "value", max: 25 },
  { case: "logs 100 at 10k/s", contender: IDENTITY_NAME, figure: "peakMib", kind: "value", max: 130 },
];
