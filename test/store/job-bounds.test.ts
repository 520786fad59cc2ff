import { describe, expect, test } from "vitest";
import { writeStory } from "../../src/cli/story-view.ts";
import { createPaint } from "../../src/cli/terminal-text.ts";
import type { JobStory } from "../../src/store/job-story.ts";
import type { TraceRecords } from "../../src/store/trace.ts";
import { at, COMFY_1 } from "./job-fixtures.ts";
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
} from "./store-fixtures.ts";
import type { TestLog, TestSpan } from "./store-fixtures.ts";
import type { StoreReader } from "../../src/store/store-reader.ts";

const own = { resource: COMFY_1, attributes: { job_id: "job-abc123" } };

function steps(count: number, body = "step"): TestLog[] {
  return Array.from({ length: count }, (_, index) => ({ ...own, atMs: at(index / 100), body: `${body} ${index}` }));
}

const failure = (count: number): TestLog => ({ ...own, atMs: at(count / 100), body: "CUDA out of memory", level: 17 });

const failedSpan: TestSpan = {
  name: "job.process",
  traceId: TRACE_A,
  spanId: spanId(2),
  atMs: at(0),
  endMs: at(200),
  status: 2,
  statusMessage: "CUDA out of memory",
  ...own,
};

function storeOf(logs: readonly TestLog[], spans: readonly TestSpan[] = []): StoreReader {
  const limits = testLimits();
  const writer = openWriter(limits);
  for (let index = 0; index < logs.length; index += 5_000)
    writer.append("logs", logsRequest(logs.slice(index, index + 5_000)), NOON_MS + index);
  if (spans.length > 0) writer.append("traces", spansRequest(spans), NOON_MS);
  return openReader(limits.directory);
}

function storyOf(logs: readonly TestLog[], spans: readonly TestSpan[] = []): JobStory {
  const { status, json } = ask<JobStory>(storeOf(logs, spans), "/api/jobs/job-abc123");
  expect(status).toBe(200);
  return json;
}

const shownErrors = (story: JobStory): string[] =>
  story.lines.filter(({ level }) => level === "error").map(({ message }) => message);

describe("a job of more records than one answer holds", () => {
  test("6,000 lines and an error at the end: failed, and the error is shown", () => {
    const story = storyOf([...steps(6_000), failure(6_000)]);
    expect(story.sentence).toContain("failed on railway-abc123/worker-001 (comfyui) after");
    expect(story.sentence).toContain("CUDA out of memory");
    expect(shownErrors(story)).toEqual(["CUDA out of memory"]);
    expect(story.counts).toMatchObject({ lines: 6_001, error_lines: 1, neighbours: 0 });
    expect([story.from, story.to]).toEqual(["2026-11-24T12:00:00.000Z", "2026-11-24T12:01:00.000Z"]);
    expect(story.is_cut).toBe(true);
  });

  test("15,000 lines, an error among them and a failed span: both are shown, with the first and the last line", () => {
    const story = storyOf([...steps(7_000), failure(7_000), ...steps(15_000).slice(7_001)], [failedSpan]);
    expect(shownErrors(story)).toEqual(["CUDA out of memory"]);
    expect(story.spans.map(({ status }) => status)).toEqual(["error"]);
    expect([story.lines[0]?.message, story.lines.at(-1)?.message]).toEqual(["step 0", "step 14999"]);
    const before = story.lines[story.lines.findIndex(({ level }) => level === "error") - 1];
    expect(before?.message).toBe("step 6999");
    expect(story.counts).toMatchObject({ spans: 1, failed_spans: 1, lines: 15_000 });
  });

  test("3,000 lines of 4 KiB and an error, beside 3,500 lines of the same worker: the job's own come first", () => {
    const idle = Array.from({ length: 3_500 }, (_, index) => ({
      resource: COMFY_1,
      atMs: at(index / 120),
      body: "idle",
    }));
    const story = storyOf([...steps(3_000, "x".repeat(4_096)), failure(3_000), ...idle]);
    expect(shownErrors(story)).toEqual(["CUDA out of memory"]);
    expect(story.counts).toMatchObject({ lines: 3_001, neighbours: 3_500 });
    const neighbours = story.lines.filter((line) => line.is_neighbour).length;
    expect(story.lines.length - neighbours).toBeGreaterThan(1_900);
    expect(neighbours).toBeLessThan(300);
  });

  test("its gaps and counts add up to all of its lines, and say how to see them", () => {
    const story = storyOf([...steps(3_000), failure(3_000), ...steps(25_000).slice(3_001)]);
    const left = story.lines.reduce((sum, { gap }) => sum + (gap?.lines ?? 0), 0);
    expect(story.lines.length + left).toBe(25_000);
    const text = writeStory(story, { columns: 100, isFull: false, paint: createPaint(false, {}) }).join("\n");
    expect(text).toContain("25000 lines of the job, 0 lines beside it");
    expect(text).toMatch(
      /\.\.\. \d+ lines of the job left out here: signalbox logs job_id:job-abc123 --limit \d+ --since 2026/,
    );
    expect(text).toContain("left out above: 20000 lines of the job.");
  });

  test("6,000 errors do not push out how it began and how it ended", () => {
    const errors = Array.from({ length: 6_000 }, (_, index) => ({ ...failure(index + 1), body: `e${index}` }));
    const story = storyOf([...steps(1), ...errors, { ...own, atMs: at(90), body: "Job job-abc123 failed" }]);
    expect([story.lines[0]?.message, story.lines.at(-1)?.message]).toEqual(["step 0", "Job job-abc123 failed"]);
    expect(story.counts.error_lines).toBe(6_000);
  });

  test("one that begins over and over is still told within its time", () => {
    const lines = Array.from({ length: 12_000 }, (_, index) => ({
      ...own,
      atMs: at(index / 100),
      body: index % 2 === 0 ? "Processing job job-abc123" : "Job completed job-abc123",
    }));
    expect(storyOf(lines).counts.lines).toBe(12_000);
  });
});

describe("a line larger than one answer", () => {
  const dump = { ...own, atMs: at(1), body: `dump ${"x".repeat(10 * 1024 * 1024)}` };

  test("is shortened and marked with its size, and keeps out nothing behind it", () => {
    const story = storyOf([...steps(2), dump, failure(200)]);
    expect(story.lines.map(({ message }) => message.slice(0, 18))).toEqual([
      "step 0",
      "step 1",
      `dump ${"x".repeat(13)}`,
      "CUDA out of memory",
    ]);
    expect(story.lines[2]?.shortened_from).toBeGreaterThan(10 * 1024 * 1024);
    expect(JSON.stringify(story).length).toBeLessThan(50_000);
    const text = writeStory(story, { columns: 100, isFull: false, paint: createPaint(false, {}) }).join("\n");
    expect(text).toContain("[the beginning of 10.0 MiB]  dump xxx");
  });

  test("that is all there is of a job is its story, not a 404", () => {
    expect(storyOf([dump]).counts).toMatchObject({ lines: 1 });
    expect(storyOf([{ ...dump, level: 17 }]).sentence).toContain("failed");
  });

  test("with deep attributes is shortened too", () => {
    const attributes = Object.fromEntries(
      Array.from({ length: 3_000 }, (_, index) => [`key-${index}`, "v".repeat(50)]),
    );
    const story = storyOf([{ ...own, attributes: { ...own.attributes, ...attributes } }]);
    expect(JSON.stringify(story).length).toBeLessThan(50_000);
  });
});

test("a trace of more records than one answer holds shows its failures, and says what is left out", () => {
  const spans = Array.from({ length: 6_000 }, (_, index) => ({
    ...failedSpan,
    spanId: spanId(index + 10),
    status: index === 3_000 ? 2 : 1,
    atMs: at(index / 100),
  }));
  const reader = storeOf([], spans);
  const { json } = ask<TraceRecords>(reader, `/api/traces/${TRACE_A}`, { format: "records" });
  expect(json.spans.filter(({ status }) => status === "error")).toHaveLength(1);
  expect(json.left_out).toEqual({ spans: 1_000, logs: 0 });
  const otlp = ask<{ warnings: string[] }>(reader, `/api/traces/${TRACE_A}`).json;
  expect(otlp.warnings).toEqual(["1000 spans and 0 log records of the trace have no room in one answer"]);
});
