import { NOON_MS, spanId, TRACE_A, worker } from "./store-fixtures.ts";
import type { TestLog, TestSpan } from "./store-fixtures.ts";

const COMFY_1 = worker("railway-abc123", "worker-001", "comfyui");
const COMFY_2 = worker("railway-abc123", "worker-002", "comfyui");
const SIM_3 = worker("railway-abc123", "worker-003", "simulation");
const ELSEWHERE = worker("railway-xyz789", "worker-001", "comfyui");
const API = { "service.name": "emp-api" };

const at = (seconds: number): number => NOON_MS + seconds * 1000;
const job = { "job.id": "job-abc123" };

/** A job that fails on worker-001, and is done by worker-002: submitted by an API, with what happens around it. */
export const JOB_SPANS: readonly TestSpan[] = [
  {
    name: "job.submit",
    traceId: TRACE_A,
    spanId: spanId(1),
    atMs: at(0),
    endMs: at(0.02),
    resource: API,
    attributes: job,
  },
  {
    name: "job.process",
    traceId: TRACE_A,
    spanId: spanId(2),
    parentSpanId: spanId(1),
    atMs: at(1),
    endMs: at(14),
    status: 2,
    statusMessage: "CUDA out of memory",
    resource: COMFY_1,
    attributes: job,
  },
  {
    name: "process.download_model",
    traceId: TRACE_A,
    spanId: spanId(3),
    parentSpanId: spanId(2),
    atMs: at(1.5),
    endMs: at(9),
    resource: COMFY_1,
  },
  {
    name: "process.execute_comfyui",
    traceId: TRACE_A,
    spanId: spanId(4),
    parentSpanId: spanId(2),
    atMs: at(9),
    endMs: at(13.5),
    status: 2,
    exception: { atMs: at(13.4), type: "RuntimeError", message: "CUDA out of memory. Tried to allocate 2.20 GiB" },
    resource: COMFY_1,
  },
  {
    name: "job.process",
    traceId: TRACE_A,
    spanId: spanId(5),
    parentSpanId: spanId(1),
    atMs: at(20),
    endMs: at(41),
    status: 1,
    resource: COMFY_2,
    attributes: job,
  },
  {
    name: "process.execute_comfyui",
    traceId: TRACE_A,
    spanId: spanId(6),
    parentSpanId: spanId(5),
    atMs: at(21),
    endMs: at(40),
    resource: COMFY_2,
  },
  {
    name: "job.process",
    traceId: "c".repeat(32),
    spanId: spanId(9),
    atMs: at(3),
    endMs: at(6),
    status: 2,
    resource: ELSEWHERE,
    attributes: { "job.id": "job-other" },
  },
];

export const JOB_LOGS: readonly TestLog[] = [
  { atMs: at(0.5), body: "worker idle, polling", resource: COMFY_1 },
  {
    atMs: at(1),
    body: "Processing job job-abc123",
    resource: COMFY_1,
    attributes: { job_id: "job-abc123" },
    traceId: TRACE_A,
    spanId: spanId(2),
  },
  { atMs: at(8), body: "VRAM 22.1 of 24.0 GiB in use", level: 13, resource: COMFY_1 },
  {
    atMs: at(13.4),
    body: "CUDA out of memory. Tried to allocate 2.20 GiB\n  at sample (sampler.py:81)",
    level: 17,
    resource: COMFY_1,
    attributes: { "emp.job_id": "job-abc123" },
    traceId: TRACE_A,
    spanId: spanId(4),
  },
  { atMs: at(13.6), body: "unloading models", resource: COMFY_1, attributes: { job_id: "job-next" } },
  {
    atMs: at(20),
    body: "Processing job job-abc123",
    resource: COMFY_2,
    attributes: { job_id: "job-abc123" },
    traceId: TRACE_A,
  },
  {
    atMs: at(40),
    body: "Job completed job-abc123 20000ms",
    resource: COMFY_2,
    attributes: { job_id: "job-abc123", duration_ms: 20_000 },
    traceId: TRACE_A,
  },
  { atMs: at(5), body: "simulation step", resource: SIM_3 },
  { atMs: at(300), body: "long after", resource: COMFY_1 },
  { atMs: at(4), body: "elsewhere failed", level: 17, resource: ELSEWHERE, attributes: { job_id: "job-other" } },
];

/** The same job as its first worker left it, before the retry. */
export const FAILED_SPANS = JOB_SPANS.filter((span) => span.resource !== COMFY_2);
export const FAILED_LOGS = JOB_LOGS.filter((log) => log.resource !== COMFY_2);

export { COMFY_1, COMFY_2, at };
