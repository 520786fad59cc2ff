import { describe, expect, it } from "vitest";
import { createBatch, type Batch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { REGROUP_BYTES_FACTOR_MAX, REGROUP_RESOURCES_MAX } from "../../src/core/limits.ts";
import { joinSlices } from "../../src/wire/otlp/payload.ts";
import { encodeReference } from "../wire/otlp/reference.ts";

const context = { client: ClientMetadata.internal, arrivalUnixNano: 0n };

const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } });

interface Group {
  readonly attributes: readonly object[];
  readonly schemaUrl?: string;
  readonly dropped?: number;
  readonly records: readonly string[];
}

function logsOf(...groups: readonly Group[]): Batch<"logs"> {
  const resourceLogs = groups.map(({ attributes, schemaUrl = "", dropped = 0, records }) => ({
    resource: { attributes, droppedAttributesCount: dropped },
    schemaUrl,
    scopeLogs: [{ scope: { name: "lib" }, logRecords: records.map((stringValue) => ({ body: { stringValue } })) }],
  }));
  return createBatch("logs", encodeReference("logs", { resourceLogs }), context);
}

function textOf(body: unknown): string {
  return typeof body === "string" ? body : "";
}

/** Per group of the encoded batch: its attributes and the bodies under it. */
function groupsOf(batch: Batch<"logs">): unknown[] {
  const encoded = createBatch("logs", joinSlices(batch.encode()), context);
  return Array.from(encoded.view.resourceGroups(), (group) => ({
    resource: Object.fromEntries(group.resource.attributes),
    bodies: Array.from(group.records(), ({ body }) => body),
  }));
}

function moveByBody(batch: Batch<"logs">, machineOf: (body: string) => string | undefined): void {
  for (const record of batch.view) {
    const machine = machineOf(textOf(record.body));
    if (machine !== undefined) record.moveToResource({ set: { "machine.id": machine } });
  }
}

describe("moveToResource", () => {
  it("groups records by their new resource, in the order in which each was first seen", () => {
    const batch = logsOf({ attributes: [text("a", "1")], records: ["b1", "a1", "none", "b2", "a2"] });
    moveByBody(batch, (body) => (body === "none" ? undefined : body[0]));
    expect(groupsOf(batch)).toEqual([
      { resource: { a: "1", "machine.id": "b" }, bodies: ["b1", "b2"] },
      { resource: { a: "1", "machine.id": "a" }, bodies: ["a1", "a2"] },
      { resource: { a: "1" }, bodies: ["none"] },
    ]);
    expect(batch.regroupRefused).toBe(0);
  });

  it("takes edits that are used in turn as they are at each move, also where one was changed since", () => {
    const batch = logsOf({ attributes: [], records: ["a", "b", "a", "b", "a", "b"] });
    const edits = new Map(["a", "b"].map((name) => [name, { set: { "machine.id": name } }]));
    let moves = 0;
    for (const record of batch.view) {
      if (moves++ === 4) edits.get("a")!.set["machine.id"] = "c";
      expect(record.moveToResource(edits.get(textOf(record.body))!)).toBe(true);
    }
    expect(groupsOf(batch)).toEqual([
      { resource: { "machine.id": "a" }, bodies: ["a", "a"] },
      { resource: { "machine.id": "b" }, bodies: ["b", "b", "b"] },
      { resource: { "machine.id": "c" }, bodies: ["a"] },
    ]);
  });

  it("joins a group that came with the same attributes in another order", () => {
    const batch = logsOf(
      { attributes: [text("machine.id", "m"), text("a", "1")], records: ["one"] },
      { attributes: [text("a", "1")], records: ["two", "three"] },
    );
    for (const record of batch.view) if (record.body === "two") record.moveToResource({ set: { "machine.id": "m" } });
    expect(groupsOf(batch)).toEqual([
      { resource: { a: "1", "machine.id": "m" }, bodies: ["one", "two"] },
      { resource: { a: "1" }, bodies: ["three"] },
    ]);
  });

  it("keeps groups apart whose schema URL or dropped count differs", () => {
    const moved = { set: { "machine.id": "m" } };
    for (const other of [{ schemaUrl: "https://example.com/2" }, { dropped: 1 }]) {
      const batch = logsOf(
        { attributes: [text("a", "1")], records: ["one"] },
        { attributes: [text("a", "1")], records: ["two"], ...other },
      );
      for (const record of batch.view) record.moveToResource(moved);
      expect(groupsOf(batch)).toHaveLength(2);
    }
  });

  it("starts from the resource as it stands when the batch is encoded", () => {
    const batch = logsOf({ attributes: [text("a", "1")], records: ["one", "two"] });
    const [first] = [...batch.view];
    first?.moveToResource({ set: { "machine.id": "m" }, delete: ["a"] });
    first?.resource.attributes.set("b", "2");
    expect(first?.resource.attributes.get("machine.id")).toBeUndefined();
    expect(groupsOf(batch)).toEqual([
      { resource: { b: "2", "machine.id": "m" }, bodies: ["one"] },
      { resource: { a: "1", b: "2" }, bodies: ["two"] },
    ]);
  });

  it("keeps groups that came without records, and their place", () => {
    const empty = createBatch(
      "logs",
      encodeReference("logs", {
        resourceLogs: [
          { resource: { attributes: [text("a", "1")] } },
          { resource: { attributes: [text("a", "2")] }, scopeLogs: [{ scope: { name: "empty" } }] },
          {
            resource: { attributes: [text("a", "3")] },
            scopeLogs: [{ logRecords: [{ body: { stringValue: "one" } }] }],
          },
        ],
      }),
      context,
    );
    for (const record of empty.view) record.moveToResource({ set: { "machine.id": "m" } });
    expect(groupsOf(empty)).toEqual([
      { resource: { a: "1" }, bodies: [] },
      { resource: { a: "2" }, bodies: [] },
      { resource: { a: "3", "machine.id": "m" }, bodies: ["one"] },
    ]);
  });

  it("leaves one occurrence of a key that stood twice on the resource", () => {
    const batch = logsOf({
      attributes: [text("machine.id", "x"), text("b", "2"), text("machine.id", "y")],
      records: ["one"],
    });
    for (const record of batch.view) record.moveToResource({ set: { "machine.id": "m" } });
    const [moved] = [...createBatch("logs", joinSlices(batch.encode()), context).view];
    expect([...(moved?.resource.attributes ?? [])]).toEqual([
      ["machine.id", "m"],
      ["b", "2"],
    ]);
  });

  it("adds up where a record moves twice", () => {
    const batch = logsOf({ attributes: [], records: ["one"] });
    for (const record of batch.view) {
      record.moveToResource({ set: { "machine.id": "m", "worker.id": "w1" } });
      record.moveToResource({ set: { "worker.id": "w2" } });
    }
    expect(groupsOf(batch)).toEqual([{ resource: { "machine.id": "m", "worker.id": "w2" }, bodies: ["one"] }]);
  });

  it("sees a value that was changed inside an edit that is used again", () => {
    const batch = logsOf({ attributes: [], records: ["one", "two"] });
    const machines = ["m1"];
    const edit = { set: { machines } };
    for (const record of batch.view) {
      record.moveToResource(edit);
      machines[0] = "m2";
    }
    expect(groupsOf(batch)).toEqual([
      { resource: { machines: ["m1"] }, bodies: ["one"] },
      { resource: { machines: ["m2"] }, bodies: ["two"] },
    ]);
  });

  it("leaves records where they are past the bound on resources, and counts them", () => {
    const records = Array.from({ length: REGROUP_RESOURCES_MAX + 5 }, (_, index) => `r${index}`.padEnd(200));
    const batch = logsOf({ attributes: [], records });
    const outcomes = Array.from(batch.view, (record) =>
      record.moveToResource({ set: { "machine.id": textOf(record.body).trim() } }),
    );
    expect(outcomes.filter((moved) => !moved)).toHaveLength(5);
    expect(batch.regroupRefused).toBe(5);
    const groups = groupsOf(batch);
    expect(groups).toHaveLength(REGROUP_RESOURCES_MAX + 1);
    expect(groups.at(-1)).toEqual({ resource: {}, bodies: records.slice(-5) });
  });

  it("counts what is written to a resource after its records moved away: too much of it fails the batch, and says why", () => {
    const records = Array.from({ length: 100 }, (_, index) => `r${index}`);
    const batch = logsOf({ attributes: [text("a", "1")], records });
    moveByBody(batch, (body) => body);
    const [group] = batch.view.resourceGroups();
    group!.resource.attributes.set("late", "x".repeat(1_000_000));
    expect(() => batch.encode()).toThrow(
      /^resource\.attributes: .* makes 100\d{6} bytes more of 100 resources, more than \d+: write it before the records move$/,
    );
  });

  it("lets a resource be completed after its records moved away", () => {
    const records = Array.from({ length: REGROUP_RESOURCES_MAX }, (_, index) => `r${index}`);
    const batch = logsOf({ attributes: [text("a", "1")], records });
    moveByBody(batch, (body) => body);
    const moved = records.length - batch.regroupRefused;
    const [group] = batch.view.resourceGroups();
    group!.resource.attributes.set("late", "x".repeat(500));
    const groups = groupsOf(batch) as { resource: Record<string, string> }[];
    expect(groups.length).toBeGreaterThanOrEqual(moved);
    expect(groups.every(({ resource }) => resource["late"]?.length === 500)).toBe(true);
  });

  it("never makes a large batch more than twice as long", () => {
    const records = Array.from({ length: 900 }, (_, index) => `r${index}`);
    const batch = logsOf({ attributes: [text("long", "x".repeat(80_000))], records });
    const size = batch.encode().size;
    const outcomes = Array.from(batch.view, (record) =>
      record.moveToResource({ set: { "machine.id": textOf(record.body) } }),
    );
    expect(outcomes).toContain(false);
    expect(outcomes).toContain(true);
    expect(batch.encode().size).toBeLessThanOrEqual(size * REGROUP_BYTES_FACTOR_MAX);
    expect(batch.regroupRefused).toBe(outcomes.filter((moved) => !moved).length);
  });

  it("moves a whole scope or nothing of it", () => {
    const records = Array.from({ length: 3 }, (_, index) => `r${index}`);
    const batch = logsOf({ attributes: [text("long", "x".repeat(80_000))], records });
    const [group] = [...batch.view.resourceGroups()];
    const [scope] = [...(group?.scopes() ?? [])];
    expect(scope?.moveToResource({ set: { big: "y".repeat(80_000) } })).toBe(false);
    expect(batch.regroupRefused).toBe(3);
    expect(scope?.moveToResource({ set: { "machine.id": "m" } })).toBe(false);
    expect(groupsOf(batch)).toHaveLength(1);
  });
});
