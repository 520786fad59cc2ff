import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { StoreReader } from "../../src/store/store-reader.ts";
import {
  ask,
  logsRequest,
  messages,
  NOON_MS,
  openReader,
  openWriter,
  spansRequest,
  testLimits,
  TRACE_A,
  worker,
} from "./store-fixtures.ts";
import { decodeJsonRequest } from "../../src/wire/otlp/json-decode.ts";
import type { Asked, LogsPage, TestLog } from "./store-fixtures.ts";
import { fuzz } from "../support/fuzz.ts";

function storeOf(...batches: readonly (readonly TestLog[])[]): StoreReader {
  const limits = testLimits();
  const writer = openWriter(limits);
  for (const logs of batches) writer.append("logs", logsRequest(logs), NOON_MS);
  return openReader(limits.directory);
}

const COMFY = worker("railway-abc123", "worker-001", "comfyui");
const SIM = worker("railway-abc123", "worker-002", "simulation");

const STORY: readonly TestLog[] = [
  {
    body: "Processing job job-abc123",
    resource: COMFY,
    attributes: { job_id: "job-abc123", source: "stdout" },
    atMs: NOON_MS,
  },
  { body: "VRAM low: 9.6 GiB", resource: COMFY, level: 13, atMs: NOON_MS + 1 },
  {
    body: "model load failed: CUDA out of memory",
    resource: COMFY,
    level: 17,
    attributes: { "job.id": "job-abc123", node_id: 7 },
    atMs: NOON_MS + 2,
  },
  {
    body: "Simulation failed to load model",
    resource: SIM,
    level: 17,
    attributes: { jobId: "job-xyz789", step: "Load Model" },
    atMs: NOON_MS + 3,
  },
  { body: "Job completed in 1500ms", level: 5, attributes: { duration_ms: 1500 }, atMs: NOON_MS - 1 },
];

describe("a search", () => {
  test.each([
    [
      'machine_id:"railway-abc123" service_type:comfyui level:error "model load failed"',
      ["model load failed: CUDA out of memory"],
    ],
    ["job_id:job-abc123", ["model load failed: CUDA out of memory", "Processing job job-abc123"]],
    ["job.id:job-abc123 level:error", ["model load failed: CUDA out of memory"]],
    ["jobId:job-xyz789", ["Simulation failed to load model"]],
    [
      "job_id:job-*",
      ["Simulation failed to load model", "model load failed: CUDA out of memory", "Processing job job-abc123"],
    ],
    ["worker.id:worker-002", ["Simulation failed to load model"]],
    ["level>=warn service_type:comfyui", ["model load failed: CUDA out of memory", "VRAM low: 9.6 GiB"]],
    ["failed", ["Simulation failed to load model", "model load failed: CUDA out of memory"]],
    ['"load failed"', ["model load failed: CUDA out of memory"]],
    ["simul*", ["Simulation failed to load model"]],
    ["CUDA", ["model load failed: CUDA out of memory"]],
    ["cuda memory", ["model load failed: CUDA out of memory"]],
    ["source:stdout", ["Processing job job-abc123"]],
    ["node_id:7", ["model load failed: CUDA out of memory"]],
    ['step:"load model"', ["Simulation failed to load model"]],
    ["step:*", ["Simulation failed to load model"]],
    ["step:Load", []],
    ["service_type:a1111", []],
    ["nosuch:thing", []],
    ['"memory of out"', []],
    ["level:info", ["Processing job job-abc123"]],
    ["duration_ms>=1500", ["Job completed in 1500ms"]],
    ["duration_ms>1500", []],
    ["duration_ms<2000 level:debug", ["Job completed in 1500ms"]],
  ])("%s finds, newest first", (q, found) => {
    expect(messages(storeOf(STORY), q)).toEqual(found);
  });

  test("finds an attribute of the resource, of the record, and both together", () => {
    const production = { ...COMFY, "deployment.environment.name": "production" };
    const reader = storeOf([
      { body: "on resource", resource: production },
      { body: "on record", attributes: { "deployment.environment.name": "production" } },
      { body: "elsewhere", resource: { ...COMFY, "deployment.environment.name": "staging" } },
    ]);
    expect(messages(reader, "deployment.environment.name:production").toSorted()).toEqual(["on record", "on resource"]);
    expect(messages(reader, "deployment.environment.name:prod* resource")).toEqual(["on resource"]);
  });

  test("a record's own worker id counts where its resource has none, and its resource's wins", () => {
    const reader = storeOf([
      { body: "own", attributes: { worker_id: "worker-009" } },
      { body: "of another", resource: COMFY, attributes: { worker_id: "worker-009" } },
    ]);
    expect(messages(reader, "worker_id:worker-009")).toEqual(["own"]);
    expect(messages(reader, "worker_id:worker-001")).toEqual(["of another"]);
  });

  test("a job id on the resource is the job of its records that name none", () => {
    const reader = storeOf([
      { body: "inherits", resource: { "job.id": "job-1" } },
      { body: "names another", resource: { "job.id": "job-1" }, attributes: { job_id: "job-2" } },
    ]);
    expect(messages(reader, "job_id:job-1")).toEqual(["inherits"]);
  });

  test("takes from and to as ISO, milliseconds or before now, both ends included", () => {
    const reader = storeOf(
      [0, 1, 2, 3].map((minute) => ({ body: `minute ${minute}`, atMs: NOON_MS - minute * 60_000 })),
    );
    expect(messages(reader, "", { from: "2026-11-24T11:58:00Z", to: String(NOON_MS - 60_000) })).toEqual([
      "minute 1",
      "minute 2",
    ]);
    // The question is asked at one minute past noon.
    expect(messages(reader, "", { from: "-2m" })).toEqual(["minute 0", "minute 1"]);
  });

  test("pages through everything once, in one order, over segments and equal times", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    const expected: string[] = [];
    for (let segment = 0; segment < 3; segment++) {
      // Every arrival is a new segment: they are ten hours apart. Times overlap between segments, and repeat.
      const logs = Array.from({ length: 10 }, (_, index) => ({
        body: `${segment}.${index}`,
        atMs: NOON_MS + (index % 4) * 1000,
      }));
      writer.append("logs", logsRequest(logs), NOON_MS + segment * 36_000_000);
      expected.push(...logs.map((log) => log.body));
    }
    const reader = openReader(limits.directory);
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const { json }: Asked<LogsPage> = ask<LogsPage>(reader, "/api/logs", { limit: "7", cursor });
      seen.push(...json.records.map((record) => record.message));
      cursor = json.next;
    }
    expect(seen.toSorted()).toEqual(expected.toSorted());
    expect(seen).toEqual(messages(reader, "", { limit: "1000" }));
  });

  test("a late record is found in its own time", () => {
    const reader = storeOf([{ body: "now" }], [{ body: "late", atMs: NOON_MS - 30 * 24 * 3_600_000 }]);
    expect(messages(reader, "")).toEqual(["now", "late"]);
    expect(messages(reader, "", { to: "2026-10-30" })).toEqual(["late"]);
  });

  test("gives a record without any time the time of its arrival", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    writer.append("logs", logsRequest([{ body: "timeless", atMs: 0 }]), NOON_MS + 5);
    expect(ask<LogsPage>(openReader(limits.directory), "/api/logs").json.records[0]).toMatchObject({
      timestamp: "2026-11-24T12:00:00.005Z",
    });
  });

  test("answers with the standard log record and the rest", () => {
    const reader = storeOf([
      {
        body: "Job completed job-123 1500ms",
        resource: COMFY,
        attributes: { job_id: "job-123", duration_ms: 1500, source: "stdout", big: "9007199254740993" },
        traceId: TRACE_A,
        atMs: NOON_MS + 456,
      },
    ]);
    expect(ask<LogsPage>(reader, "/api/logs").json.records[0]).toEqual({
      id: "1-1",
      timestamp: "2026-11-24T12:00:00.456Z",
      time_us: (NOON_MS + 456) * 1000,
      level: "info",
      message: "Job completed job-123 1500ms",
      machine_id: "railway-abc123",
      worker_id: "worker-001",
      service_type: "comfyui",
      service_name: "emp-worker",
      job_id: "job-123",
      duration_ms: 1500,
      source: "stdout",
      trace_id: TRACE_A,
      attributes: { job_id: "job-123", duration_ms: 1500, source: "stdout", big: "9007199254740993" },
      resource: COMFY,
    });
  });

  test("the source of a line is what it says, else its stream, else otlp, and is found so", () => {
    const reader = storeOf([
      { body: "said", attributes: { source: "file" } },
      { body: "printed", attributes: { "log.iostream": "stderr" } },
      { body: "sent" },
    ]);
    const sources = ask<LogsPage>(reader, "/api/logs").json.records.map(({ message, source }) => [message, source]);
    expect(Object.fromEntries(sources)).toEqual({ said: "file", printed: "stderr", sent: "otlp" });
    expect(messages(reader, "source:otlp")).toEqual(["sent"]);
    expect(messages(reader, "source:stderr")).toEqual(["printed"]);
    expect(messages(reader, "source:file")).toEqual(["said"]);
  });

  test("finds spans by name, status and event", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    const base = { traceId: TRACE_A, atMs: NOON_MS, endMs: NOON_MS + 2_000, resource: COMFY };
    const exception = { atMs: NOON_MS, type: "RuntimeError", message: "CUDA out of memory" };
    writer.append(
      "traces",
      spansRequest([
        { ...base, name: "process.download_model", spanId: "0000000000000001", status: 2, exception },
        { ...base, name: "job.claim", spanId: "0000000000000002", endMs: NOON_MS + 10 },
      ]),
      NOON_MS,
    );
    const reader = openReader(limits.directory);
    const names = (q: string): unknown[] =>
      ask<LogsPage>(reader, "/api/spans", { q }).json.records.map((record) => record["name"]);
    expect(names("level:error")).toEqual(["process.download_model"]);
    expect(names("duration_ms>=1000")).toEqual(["process.download_model"]);
    expect(names('"CUDA out of memory"')).toEqual(["process.download_model"]);
    expect(names("name:job.claim")).toEqual(["job.claim"]);
    expect(names(`trace_id:${TRACE_A}`)).toHaveLength(2);
  });

  test("a query that runs over its budget is ended with an answer that says so", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    writer.append(
      "logs",
      logsRequest(Array.from({ length: 2_000 }, (_, index) => ({ body: `line ${index}` }))),
      NOON_MS,
    );
    let nowMs = 0;
    const reader = openReader(limits.directory, () => (nowMs += 20_000));
    const { status, json } = ask<{ error: { message: string } }>(reader, "/api/logs", {
      q: "span_id:0000000000000001",
    });
    expect(status).toBe(503);
    expect(json.error.message).toContain("ended after 60000 ms");
  });
});

describe("hostile queries and bodies", () => {
  test.each([
    `x" OR "y`,
    `NEAR(a b)`,
    `a*b`,
    `body:`,
    `"; DROP TABLE log; --`,
    "a\u0000b",
    `{body} : x`,
    "^x",
    "a + b",
  ])("%j is searched as text", (body) => {
    const reader = storeOf([{ body }, { body: "another" }]);
    const quoted = `"${body.replaceAll('"', '\\"')}"`;
    expect(messages(reader, quoted)).toEqual([body]);
    expect(messages(reader, `key:${quoted}`)).toEqual([]);
  });

  test("a value with blanks, controls and quotes is found as an attribute, and no other", () => {
    const values = ["a b", "a_b", "a\u0001b", 'a"b', "a\nb", "A B", "a=b", "é ü"];
    const reader = storeOf(values.map((value) => ({ body: "x", attributes: { key: value } })));
    const found = (value: string): unknown[] => {
      const quoted = JSON.stringify(value).replaceAll(/\\u0001/g, "\u0001");
      return ask<LogsPage>(reader, "/api/logs", { q: `key:${quoted}` }).json.records.map(
        (record) => (record["attributes"] as { key: string }).key,
      );
    };
    // Case is not told apart; nothing else is mistaken.
    expect(new Set(found("a b"))).toEqual(new Set(["A B", "a b"]));
    for (const value of ["a_b", "a\u0001b", 'a"b', "a\nb", "a=b", "é ü"]) expect(found(value)).toEqual([value]);
  });

  test("a body that is a structure is found by its words and given back as one", () => {
    const limits = testLimits();
    const writer = openWriter(limits);
    const body = {
      kvlistValue: {
        values: [
          { key: "__proto__", value: { stringValue: "polluted" } },
          { key: "n", value: { intValue: "9007199254740993" } },
        ],
      },
    };
    const request = { resourceLogs: [{ scopeLogs: [{ logRecords: [{ timeUnixNano: "1", body }] }] }] };
    writer.append("logs", decodeJsonRequest("logs", JSON.stringify(request)).bytes, NOON_MS);
    const [record] = ask<LogsPage>(openReader(limits.directory), "/api/logs", { q: "polluted" }).json.records;
    expect(record?.["message"]).toBe('{"__proto__":"polluted","n":"9007199254740993"}');
    expect(Object.keys(record?.["body"] as object)).toEqual(["__proto__", "n"]);
  });
});

describe("compared with a naive search", () => {
  const WORDS = ["model", "load", "failed", "queue"];
  const MACHINES = ["m1", "m2"];
  const recordArbitrary = fc.record({
    words: fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 5 }),
    machine: fc.constantFrom(...MACHINES),
    level: fc.constantFrom(5, 9, 13, 17, 21),
    job: fc.constantFrom("", "j1", "j2"),
    color: fc.constantFrom("", "red", "blue"),
    second: fc.integer({ min: 0, max: 20 }),
  });
  type Plain = typeof recordArbitrary extends fc.Arbitrary<infer T> ? T : never;

  const termArbitrary: fc.Arbitrary<{ q: string; test: (record: Plain) => boolean }> = fc.oneof(
    fc.constantFrom(...WORDS).map((word) => ({ q: word, test: (record: Plain) => record.words.includes(word) })),
    fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS)).map(([a, b]) => ({
      q: `"${a} ${b}"`,
      test: (record: Plain) => record.words.some((word, index) => word === a && record.words[index + 1] === b),
    })),
    fc
      .constantFrom(...MACHINES)
      .map((machine) => ({ q: `machine.id:${machine}`, test: (record: Plain) => record.machine === machine })),
    fc.constantFrom("j1", "j2").map((job) => ({ q: `job_id:${job}`, test: (record: Plain) => record.job === job })),
    fc
      .constantFrom("red", "blue")
      .map((color) => ({ q: `color:${color}`, test: (record: Plain) => record.color === color })),
    fc.constant({ q: "level:error", test: (record: Plain) => record.level === 17 }),
    fc.constant({ q: "level>=warn", test: (record: Plain) => record.level >= 13 }),
  );

  test("finds the same records in the same order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(recordArbitrary, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.array(termArbitrary, { maxLength: 3 }), { minLength: 1, maxLength: 12 }),
        (segments, queries) => {
          const limits = testLimits();
          const writer = openWriter(limits);
          const all: { record: Plain; body: string; place: number }[] = [];
          segments.forEach((records, segment) => {
            const logs = records.map((record, index) => {
              const body = `${record.words.join(" ")} #${segment}x${index}`;
              all.push({ record, body, place: segment * 1000 + index });
              return plainLog(record, body);
            });
            writer.append("logs", logsRequest(logs), NOON_MS + segment * 36_000_000);
          });
          const reader = openReader(limits.directory);
          for (const terms of queries) {
            const expected = all
              .filter(({ record }) => terms.every((term) => term.test(record)))
              .toSorted((left, right) => right.record.second - left.record.second || right.place - left.place)
              .map(({ body }) => body);
            expect(messages(reader, terms.map((term) => term.q).join(" "), { limit: "1000" })).toEqual(expected);
            expect(messages(reader, terms.map((term) => term.q).join(" "), { limit: "3" })).toEqual(
              expected.slice(0, 3),
            );
          }
          reader.close();
        },
      ),
      fuzz(25),
    );
  });

  function plainLog(record: Plain, body: string): TestLog {
    return {
      body,
      level: record.level,
      atMs: NOON_MS + record.second * 1000,
      resource: { "machine.id": record.machine },
      attributes: {
        ...(record.job !== "" && { job_id: record.job }),
        ...(record.color !== "" && { color: record.color }),
      },
    };
  }
});
