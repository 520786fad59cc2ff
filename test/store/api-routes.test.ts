import { describe, expect, test } from "vitest";
import { answerApi } from "../../src/store/api-routes.ts";
import { ask, logsRequest, NOON_MS, openReader, openWriter, testFolder, testLimits, worker } from "./store-fixtures.ts";
import type { LogsPage } from "./store-fixtures.ts";

describe("a question that is wrong", () => {
  test.each<[string, Record<string, string>, number, object]>([
    [
      "/api/logs",
      { q: "level:eror" },
      400,
      { message: '"eror" is no level', position: 6, length: 4, fix: "did you mean error?" },
    ],
    ["/api/logs", { limit: "0" }, 400, { message: 'limit is "0"', fix: "write a number from 1 to 1000" }],
    ["/api/logs", { limit: "1001" }, 400, { message: 'limit is "1001"', fix: "write a number from 1 to 1000" }],
    [
      "/api/logs",
      { from: "yesterday" },
      400,
      { message: 'from is no point in time: "yesterday"', fix: expect.stringContaining("-15m") },
    ],
    ["/api/logs", { from: "now", to: "-1m" }, 400, { message: "from lies after to", fix: "swap them" }],
    [
      "/api/logs",
      { cursor: "x" },
      400,
      { message: "the cursor is not one of ours", fix: expect.stringContaining("next") },
    ],
    [
      "/api/logs",
      { form: "-15m" },
      400,
      { message: 'unknown parameter "form"', fix: "it takes q, from, to, limit, cursor" },
    ],
    ["/api/logs/abc", {}, 400, { message: '"abc" is no record id', fix: expect.stringContaining("42-1007") }],
    ["/api/logs/9-9", {}, 404, { message: "there is no record 9-9", fix: expect.stringContaining("pruned") }],
    ["/api/jobs/%ff", {}, 400, { message: "the path holds a broken percent escape", fix: "write % itself as %25" }],
    ["/api/nothing", {}, 404, { message: "nothing stands at /api/nothing", fix: "GET / lists what can be asked" }],
    ["/api/traces/00", {}, 400, { message: '"00" is no trace id', fix: "a trace id is 32 hex digits" }],
  ])("%s %j is answered %i with what is wrong and the fix", (path, params, status, error) => {
    const answer = ask(openReader(testFolder()), path, params);
    expect(answer).toEqual({ status, json: { error } });
  });
});

test("a store that does not exist yet holds nothing", () => {
  const reader = openReader("/nowhere/at/all");
  expect(ask(reader, "/api/logs").json).toEqual({ records: [], next: null, from: null, to: null });
  expect(ask(reader, "/api/machines").json).toEqual({ machines: [] });
});

test("one record is given with the OTLP it came as", () => {
  const limits = testLimits();
  openWriter(limits).append("logs", logsRequest([{ body: "one", attributes: { n: 1 } }]), NOON_MS);
  const { json } = ask<{
    record: { message: string };
    otlp: { resourceLogs: { scopeLogs: { logRecords: unknown[] }[] }[] };
  }>(openReader(limits.directory), "/api/logs/1-1");
  expect(json.record.message).toBe("one");
  expect(json.otlp.resourceLogs[0]?.scopeLogs[0]?.logRecords).toEqual([
    {
      timeUnixNano: `${NOON_MS}000000`,
      severityNumber: 9,
      body: { stringValue: "one" },
      attributes: [{ key: "n", value: { intValue: "1" } }],
    },
  ]);
});

test("machines are listed with workers, types, times and failures, and counted within a range by minutes", () => {
  const limits = testLimits();
  const writer = openWriter(limits);
  const first = worker("m1", "w1", "comfyui");
  writer.append(
    "logs",
    logsRequest([
      { resource: first, level: 17 },
      { resource: first, atMs: NOON_MS + 90_000 },
      { resource: worker("m1", "w2", "a1111") },
      { body: "nobody's" },
    ]),
    NOON_MS,
  );
  writer.append("logs", logsRequest([{ resource: first, atMs: NOON_MS + 5_000 }]), NOON_MS + 36_000_000);
  const reader = openReader(limits.directory);
  const { json } = ask<{ machines: unknown[] }>(reader, "/api/machines");
  expect(json.machines).toMatchObject([
    {
      machine_id: "m1",
      service_types: ["a1111", "comfyui"],
      first_seen: "2026-11-24T12:00:00.000Z",
      last_seen: "2026-11-24T12:01:30.000Z",
      logs: 4,
      error_logs: 1,
      workers: [
        { worker_id: "w1", logs: 3, error_logs: 1 },
        { worker_id: "w2", logs: 1 },
      ],
    },
    { logs: 1, workers: [{ logs: 1 }] },
  ]);
  const range = { from: "2026-11-24T12:01:00Z", to: "2026-11-24T12:02:00Z" };
  expect(ask<{ machines: unknown[] }>(reader, "/api/machines", range).json.machines).toMatchObject([
    { machine_id: "m1", logs: 1, error_logs: 0 },
  ]);
});

test("an answer ends a page early where its records are large, and the next page goes on", () => {
  const limits = testLimits();
  const writer = openWriter(limits);
  for (let index = 0; index < 12; index++)
    writer.append("logs", logsRequest([{ body: `${index} ${"x".repeat(1_000_000)}`, atMs: NOON_MS + index }]), NOON_MS);
  const reader = openReader(limits.directory);
  const seen: string[] = [];
  let pages = 0;
  for (let cursor: string | null = ""; cursor !== null; pages++) {
    const page: LogsPage = ask<LogsPage>(reader, "/api/logs", { limit: "100", cursor }).json;
    seen.push(...page.records.map((record) => record.message.split(" ")[0] ?? ""));
    cursor = page.next;
  }
  expect(pages).toBe(2);
  expect(seen).toEqual(["11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
});

test("a parameter given twice is refused: one of the two would be answered and not the other", () => {
  const request = { path: "/api/logs", search: "q=a&q=b", nowMs: NOON_MS, budgetMs: 1_000 };
  const { status, body } = answerApi(openReader(testLimits().directory), request);
  expect(status).toBe(400);
  expect(JSON.parse(new TextDecoder().decode(body))).toEqual({
    error: {
      message: 'parameter "q" is given more than once',
      fix: "write all terms into one q; a blank between them means AND",
    },
  });
});
