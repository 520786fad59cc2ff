import { expect, test } from "vitest";
import { COMFY_1 } from "./job-fixtures.ts";
import { ask, logsRequest, NOON_MS, openReader, openWriter, testLimits } from "./store-fixtures.ts";
import type { StoreReader } from "../../src/store/store-reader.ts";

interface Page {
  readonly records: readonly unknown[];
  readonly hints?: readonly string[];
}

function storeWithLine(): StoreReader {
  const limits = testLimits();
  const line = { body: "tile 7", level: 17, resource: COMFY_1, attributes: { tile_count: 7, job_id: "job-1" } };
  openWriter(limits).append("logs", logsRequest([line]), NOON_MS);
  return openReader(limits.directory);
}

test.each([
  ["levle:error", ["no record has an attribute levle; did you mean level?"]],
  ["tile_cuont:7", ["no record has an attribute tile_cuont; did you mean tile_count?"]],
  ["zzzzzzzz:7", ["no record has an attribute zzzzzzzz"]],
  ["level>error", ["this asks for fatal alone; with error it is level>=error"]],
  ["level>fatal", ["nothing is above fatal; write level:fatal"]],
  [
    "level",
    [
      `"level" was searched as a word; as a key it is level:value. A shell takes > and < for itself: quote them, 'level>=...'`,
    ],
  ],
  ["tile_count:8", undefined],
  ["service.type:other", undefined],
])("where nothing matches %s the answer says why, if it can", (q, hints) => {
  const { status, json } = ask<Page>(storeWithLine(), "/api/logs", { q });
  expect([status, json.records.length, json.hints]).toEqual([200, 0, hints]);
});

test("what matches has no hints, and an empty store only says which attributes it lacks", () => {
  expect(ask<Page>(storeWithLine(), "/api/logs", { q: "tile_count:7" }).json.hints).toBeUndefined();
  const { json } = ask<Page>(openReader(testLimits().directory), "/api/logs", { q: "error" });
  expect(json.hints).toBeUndefined();
});
