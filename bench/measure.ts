/** One server under one case's load, once. */
import { setTimeout as sleep } from "node:timers/promises";
import type { BackendAnswer, BackendQuestion } from "./backend.ts";
import type { Case, Contender } from "./cases.ts";
import { Helper } from "./child.ts";
import type { GeneratorAnswer, GeneratorQuestion } from "./generator.ts";
import type { Signal } from "./load.ts";
import type { Round } from "./report.ts";
import { cpuMsOf, Server, type Probe, type ServerCommand } from "./server.ts";

export interface MeasureSettings {
  readonly serverCore: number;
  readonly idleMs: number;
  readonly warmupMs: number;
  readonly measuredMs: number;
  readonly inFlight: number;
  readonly connections: number;
}

export interface Entrant {
  readonly case: Case;
  readonly contender: Contender;
  readonly command: readonly string[];
}

const DRAIN_TIMEOUT_MS = 10_000;
/** At a given rate a server gets warm more slowly, and each second says less. */
const RATE_DURATION_FACTOR = 2;
/** A queue had time to repeat itself: a duplicate that comes late is one all the same. */
const LATE_MS = 300;
/** Of the errors of a void run. */
const WORDS_SHOWN = 5;
/** More than any server takes in the time; a byte each at the backend. */
const RECORDS_MAX = 32_000_000;

const GRPC_PATHS: Readonly<Record<Signal, string>> = {
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
};

type Backend = Helper<BackendQuestion, BackendAnswer>;
type Generator = Helper<GeneratorQuestion, GeneratorAnswer>;

export async function measure(entrant: Entrant, settings: MeasureSettings): Promise<Round> {
  const backend: Backend = new Helper("./backend.ts");
  const generator: Generator = new Helper("./generator.ts");
  try {
    return await measureWith(entrant, settings, backend, generator);
  } finally {
    await Promise.all([backend.stop(), generator.stop()]);
  }
}

function probeOf({ protocol, shape }: Case): Probe {
  return { protocol, path: protocol === "grpc" ? GRPC_PATHS[shape.signal] : `/v1/${shape.signal}` };
}

async function measureWith(
  { case: entry, contender, command }: Entrant,
  settings: MeasureSettings,
  backend: Backend,
  generator: Generator,
): Promise<Round> {
  const { shape } = entry;
  const isIdentified = contender.work !== "pass";
  const { port: backendPort } = await backend.ask({ expect: { shape, recordsMax: RECORDS_MAX, isIdentified } });
  const started: ServerCommand = { name: contender.side, command, probe: probeOf(entry) };
  const server = await Server.start(started, settings.serverCore, backendPort);
  try {
    await sleep(settings.idleMs);
    const idleMib = server.rssMib();
    const send = (first: number, durationMs: number): Promise<GeneratorAnswer> =>
      generator.ask(question(entry, settings, server.port, first, durationMs));
    const warm = await send(0, settings.warmupMs);
    await backend.ask({ awaitRecords: warm.sent * shape.recordsPerRequest, timeoutMs: DRAIN_TIMEOUT_MS });

    const startedAt = performance.now();
    const cpuBefore = server.cpuMs();
    const loadCpuBefore = cpuMsOf(backend.pid) + cpuMsOf(generator.pid);
    const sent = await send(warm.sent, settings.measuredMs);
    const records = (warm.sent + sent.sent) * shape.recordsPerRequest;
    const arrived = await backend.ask({ awaitRecords: records, timeoutMs: DRAIN_TIMEOUT_MS });
    const windowMs = performance.now() - startedAt;
    const cpuMs = server.cpuMs() - cpuBefore;
    const loadCpuMs = cpuMsOf(backend.pid) + cpuMsOf(generator.pid) - loadCpuBefore;
    await sleep(LATE_MS);
    const final = await backend.ask({ awaitRecords: 0, timeoutMs: 0 });
    const measured = sent.sent * shape.recordsPerRequest;
    return {
      case: entry.name,
      contender,
      problems: problemsOf(records, shape.recordsPerRequest, [warm, sent], final),
      startMs: server.startMs,
      idleMib,
      peakMib: server.rssPeakMib(),
      cpu: (cpuMs * 1000) / (measured / 1000),
      recordsPerSecond: measured / (windowMs / 1000),
      cores: cpuMs / windowMs,
      loadCores: loadCpuMs / windowMs,
      p50Ms: sent.latencyMs.p50,
      p99Ms: sent.latencyMs.p99,
      outgoingRequests: arrived.requests,
    };
  } finally {
    await server.stop();
  }
}

function question(
  { protocol, isGzip, shape, recordsPerSecond }: Case,
  { inFlight, connections }: MeasureSettings,
  port: number,
  first: number,
  durationMs: number,
): GeneratorQuestion {
  const countMax = Math.floor(RECORDS_MAX / shape.recordsPerRequest) - first;
  return {
    port,
    protocol,
    isGzip,
    shape,
    first,
    countMax,
    durationMs: recordsPerSecond === undefined ? durationMs : durationMs * RATE_DURATION_FACTOR,
    inFlight,
    connections,
    recordsPerSecond,
  };
}

/** Why a run does not count. */
function problemsOf(
  records: number,
  recordsPerRequest: number,
  sent: readonly GeneratorAnswer[],
  arrived: BackendAnswer,
): string[] {
  const { received, duplicated, unedited, altered, unknown } = arrived.tally;
  const acknowledged = sent.reduce((sum, { acknowledged: count }) => sum + count, 0);
  const failed = sent.reduce((sum, { failures }) => sum + failures.length, 0);
  const found = {
    "requests refused or failed": failed,
    "requests without an answer": records / recordsPerRequest - acknowledged - failed,
    "records lost": records - received,
    "records duplicated": duplicated,
    "records without the right identity": unedited,
    "records altered": altered,
    "records that nobody sent": unknown,
  };
  const counted = Object.entries(found).filter(([, count]) => count !== 0);
  const words = [...sent.flatMap(({ failures }) => failures), ...arrived.problems].slice(0, WORDS_SHOWN);
  return [...counted.map(([what, count]) => `${count} ${what}`), ...words];
}
