import { describe, expect, test } from "vitest";
import type { JobStory } from "../../src/store/job-story.ts";
import { at, COMFY_1, COMFY_2, FAILED_LOGS, FAILED_SPANS, JOB_LOGS, JOB_SPANS } from "./job-fixtures.ts";
import {
  ask,
  logsRequest,
  NOON_MS,
  openReader,
  openWriter,
  spanId,
  spansRequest,
  testLimits,
  TRACE_A,
  TRACE_B,
} from "./store-fixtures.ts";
import type { Attributes, TestLog, TestSpan } from "./store-fixtures.ts";

function storyOf(spans: readonly TestSpan[], logs: readonly TestLog[], jobId = "job-abc123"): JobStory {
  const limits = testLimits();
  const writer = openWriter(limits);
  if (spans.length > 0) writer.append("traces", spansRequest(spans), NOON_MS);
  // In another segment, as it happens when a job runs while a segment ends.
  if (logs.length > 0) writer.append("logs", logsRequest(logs), NOON_MS + 36_000_000);
  const { status, json } = ask<JobStory>(openReader(limits.directory), `/api/jobs/${encodeURIComponent(jobId)}`);
  expect(status).toBe(200);
  return json;
}

const failedStory = (): JobStory => storyOf(FAILED_SPANS, FAILED_LOGS);

describe("a job that failed", () => {
  test("is told in one sentence: where, after how long, why", () => {
    expect(failedStory().sentence).toBe(
      "failed in process.execute_comfyui on railway-abc123/worker-001 (comfyui) after 12.4 s: " +
        "RuntimeError: CUDA out of memory. Tried to allocate 2.20 GiB",
    );
  });

  test("names the span in which the failure began, not the ones it climbed through", () => {
    const { spans, attempts } = failedStory();
    expect(spans.find((span) => span.id === attempts[0]?.origin_id)?.name).toBe("process.execute_comfyui");
  });

  test("holds its spans and lines in time order, with those of its trace that do not name it", () => {
    const { spans, lines } = failedStory();
    expect(spans.map((span) => span.name)).toEqual([
      "job.submit",
      "job.process",
      "process.download_model",
      "process.execute_comfyui",
    ]);
    expect(lines.map((line) => line.time_us)).toEqual(lines.map((line) => line.time_us).toSorted((a, b) => a - b));
  });

  test("shows every line of that worker in the window as a neighbour, and no other worker's", () => {
    expect(failedStory().lines.map((line) => [line.is_neighbour, line.message.split("\n")[0]])).toEqual([
      [true, "worker idle, polling"],
      [false, "Processing job job-abc123"],
      [true, "VRAM 22.1 of 24.0 GiB in use"],
      [false, "CUDA out of memory. Tried to allocate 2.20 GiB"],
      [true, "unloading models"],
    ]);
  });

  test("names the machine with its other workers, and the same work elsewhere with its failures", () => {
    const { machine_workers, peers } = failedStory();
    expect(machine_workers.map((peer) => [peer.machine_id, peer.worker_id])).toEqual([
      ["railway-abc123", "worker-001"],
      ["railway-abc123", "worker-003"],
    ]);
    expect(peers).toMatchObject([
      { machine_id: "railway-xyz789", worker_id: "worker-001", failed_spans: 1, error_logs: 1 },
    ]);
  });
});

function jobLine(atS: number, body: string, level = 9, attributes: Attributes = {}): TestLog {
  return { atMs: at(atS), body, level, resource: COMFY_1, attributes: { job_id: "job-abc123", ...attributes } };
}

function jobSpan(number: number, atS: number, endS: number, status: number, parent?: number): TestSpan {
  return {
    name: "job.process",
    traceId: TRACE_A,
    spanId: spanId(number),
    ...(parent !== undefined && { parentSpanId: spanId(parent) }),
    atMs: at(atS),
    endMs: at(endS),
    status,
    resource: COMFY_1,
    attributes: { "job.id": "job-abc123" },
  };
}

function sharedLine(job: string): TestLog {
  return { body: `of ${job}`, attributes: { job_id: job }, traceId: TRACE_B, resource: COMFY_2, atMs: at(0) };
}

function numbered(atS: number, attempt: number): TestLog {
  return jobLine(atS, "step", 9, { "job.attempt": attempt });
}

describe("a job that ran twice", () => {
  test("has two attempts, and the verdict speaks of the last", () => {
    const story = storyOf(JOB_SPANS, JOB_LOGS);
    expect(story.outcome).toBe("completed");
    expect(story.sentence).toBe(
      "completed on railway-abc123/worker-002 (comfyui), attempt 2, in 21.0 s (span job.process ended with status ok)",
    );
    expect(story.attempts.map(({ number, worker_id, outcome }) => [number, worker_id, outcome])).toEqual([
      [1, "worker-001", "failed"],
      [2, "worker-002", "completed"],
    ]);
    expect(story.lines.filter((line) => !line.is_neighbour).map((line) => line.attempt)).toEqual([1, 1, 2, 2]);
    expect(story.spans.map((span) => span.attempt)).toEqual([undefined, 1, 1, 1, 2, 2]);
  });

  test("on one worker is told apart by its envelope span", () => {
    expect(storyOf([jobSpan(1, 0, 2, 2), jobSpan(2, 5, 7, 0)], []).attempts.map(({ outcome }) => outcome)).toEqual([
      "failed",
      "completed",
    ]);
  });

  test("with lines alone is told apart by what they say", () => {
    const story = storyOf(
      [],
      [
        jobLine(0, "Job job-abc123 started"),
        jobLine(5, "Job job-abc123 failed: timeout"),
        jobLine(6, "cleaning up"),
        jobLine(9, "Job job-abc123 claimed"),
        jobLine(12, "Job completed job-abc123 3000ms"),
      ],
    );
    expect(story.attempts.map(({ outcome, duration_ms }) => [outcome, duration_ms])).toEqual([["failed", 6000], ["completed", 3000]]); // prettier-ignore
  });

  test("goes by the attempt's number where workers give one", () => {
    expect(
      storyOf([], [numbered(0, 1), numbered(1, 2), numbered(2, 1)]).attempts.map(({ duration_ms }) => duration_ms),
    ).toEqual([2000, 0]);
  });
});

describe("how a job ended", () => {
  test.each<[string, readonly TestSpan[], readonly TestLog[], string, string]>([
    [
      "the span's error",
      [jobSpan(1, 0, 2, 2)],
      [jobLine(1, "Job completed job-abc123")],
      "failed",
      "span job.process ended with status error",
    ],
    [
      "the span's ok",
      [jobSpan(1, 0, 2, 1)],
      [jobLine(1, "a tile failed", 17)],
      "completed",
      "span job.process ended with status ok",
    ],
    ["a field", [jobSpan(1, 0, 2, 0)], [jobLine(1, "x", 9, { event_type: "job_failed" })], "failed", "a line says so"],
    ["a text", [], [jobLine(1, "Job job-abc123 timed out")], "failed", "a line says so"],
    [
      "the last line's level",
      [jobSpan(1, 0, 2, 0)],
      [jobLine(1, "Model load failed: no such file", 17)],
      "failed",
      "its last line is an error",
    ],
    [
      "a span without complaint",
      [jobSpan(1, 0, 2, 0)],
      [jobLine(1, "step 3")],
      "completed",
      "span job.process ended without an error",
    ],
    ["nothing", [], [jobLine(1, "step 3")], "unknown", "no record says how it ended"],
  ])("by %s", (_name, spans, logs, outcome, basis) => {
    expect(storyOf(spans, logs).attempts[0]).toMatchObject({ outcome, basis });
  });
});

describe("odd jobs", () => {
  test("an id with every kind of character is found", () => {
    const id = `a/b?c#d%20e"f'\\g ü😀`;
    expect(storyOf([], [{ body: "x", attributes: { job_id: id } }], id).lines).toHaveLength(1);
  });

  test("spans that are each other's parents make a story all the same", () => {
    expect(storyOf([jobSpan(1, 1, 2, 0, 2), jobSpan(2, 2, 3, 0, 1), jobSpan(3, 3, 4, 0, 3)], []).spans).toHaveLength(3);
  });

  test("a trace shared by two jobs leaves each its own records", () => {
    const shared: TestLog = { body: "of both", traceId: TRACE_B, resource: { "service.name": "emp-api" }, atMs: at(0) };
    expect(
      storyOf([], [sharedLine("job-abc123"), sharedLine("job-2"), shared])
        .lines.filter((found) => !found.is_neighbour)
        .map((found) => found.message),
    ).toEqual(["of job-abc123", "of both"]);
  });

  test("a job that no worker ran says so", () => {
    const story = storyOf(
      [],
      [{ body: "queued", attributes: { job_id: "job-abc123" }, resource: { "service.name": "emp-api" } }],
    );
    expect(story.sentence).toContain("no record says how it ended");
  });

  test("a job that nothing names is a 404 that says how far back the store goes", () => {
    const limits = testLimits();
    openWriter(limits).append("logs", logsRequest([{ body: "x", atMs: NOON_MS }]), NOON_MS);
    const { status, json } = ask<{ error: { message: string; fix: string } }>(
      openReader(limits.directory),
      "/api/jobs/job-none",
    );
    expect(status).toBe(404);
    expect(json.error.message).toBe("no record names job job-none");
    expect(json.error.fix).toContain("goes back to 2026-11-24T12:00:00.000Z");
  });
});
