import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SPELLINGS } from "signalbox/sdk";
import { LOG_JOB_ID, ORIGINAL_PREFIX } from "../../../processors/worker_identity/spellings.ts";
import { identify, SIGNAL_NAMES, type Plain, type PlainResource, type SignalName } from "./requests.ts";
import { fuzz } from "../../support/fuzz.ts";

const UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
const TABLE_KEYS = Object.values(SPELLINGS).flat();
const WRITTEN_KEYS = [...TABLE_KEYS, ...TABLE_KEYS.map((key) => ORIGINAL_PREFIX + key)];
const RESOURCE_KEYS = [...WRITTEN_KEYS, "service.name"];

// Few different ids, so that sources agree and disagree often; now and then something that is none.
const machine = fc.constantFrom("m", "n", "machine-p", " ", 7);
const worker = fc.constantFrom("w", "v", "m-w", "machine-p.w", 3);
const instance = fc.constantFrom("mine", "yours", UUID, "machine-m", "machine-m.w");
const serviceType = fc.constantFrom("t", "u");
const job = fc.constantFrom<unknown>("j", "k", 5, true);
const VALUES = { machine, worker, serviceType, instance, jobId: job, jobType: serviceType };

/** Some spellings of some fields, among attributes that are nobody's business. */
const attributes: fc.Arbitrary<Plain> = fc
  .tuple(
    fc.uniqueArray(
      fc
        .constantFrom(...(Object.keys(SPELLINGS) as (keyof typeof SPELLINGS)[]))
        .chain((field) =>
          fc.tuple(fc.constantFrom<string>(...SPELLINGS[field]), VALUES[field] as fc.Arbitrary<unknown>),
        ),
      { maxLength: 4, selector: ([key]) => key },
    ),
    fc.dictionary(
      fc.constantFrom("a", "b", "machine", "worker.name", "duration_ms", "source"),
      fc.constantFrom("x", 1),
      { maxKeys: 2 },
    ),
  )
  .map(([spelled, others]) => ({ ...Object.fromEntries(spelled), ...others }));

const request: fc.Arbitrary<PlainResource[]> = fc.array(
  fc.record({
    attributes,
    scopes: fc.array(fc.record({ attributes, records: fc.array(attributes, { minLength: 1, maxLength: 3 }) }), {
      minLength: 1,
      maxLength: 2,
    }),
  }),
  { minLength: 1, maxLength: 2 },
);

const settings = fc.record({
  config: fc.record({
    instance_id: fc.constantFrom("replace_generated", "insert", "overwrite"),
    machine_id: fc.constantFrom("", "m", "c"),
    worker_id: fc.constantFrom("", "w", "c"),
    service_name: fc.constantFrom("", "emp-worker"),
    mirror_job_id: fc.boolean(),
  }),
  client: fc.constantFrom<Record<string, string>>(
    {},
    { "x-machine-id": "h" },
    { "x-machine-id": "m", "x-worker-id": "h", "x-service-type": "t" },
  ),
});

type Run = typeof settings extends fc.Arbitrary<infer T> ? T : never;

const signal = fc.constantFrom<SignalName>(...SIGNAL_NAMES);

/** Marks every record, so that it is found again after it has moved. Labels of data points are not touched, so they may bear it. */
function numbered(resources: readonly PlainResource[]): PlainResource[] {
  let next = 0;
  return resources.map((group) => ({
    ...group,
    scopes: group.scopes.map((scope) => ({
      ...scope,
      records: scope.records.map((record) => ({ ...record, number: next++ })),
    })),
  }));
}

interface Placed {
  readonly record: Plain;
  readonly scope: Plain;
  readonly resource: Plain;
}

function byNumber(resources: readonly PlainResource[]): Map<unknown, Placed> {
  const placed = resources.flatMap((group) =>
    group.scopes.flatMap((scope) =>
      scope.records.map(
        (record) => [record["number"], { record, scope: scope.attributes, resource: group.attributes }] as const,
      ),
    ),
  );
  return new Map(placed);
}

function without(holder: Plain, keys: readonly string[]): Plain {
  return Object.fromEntries(Object.entries(holder).filter(([key]) => !keys.includes(key)));
}

function shuffled(holder: Plain, seed: number): Plain {
  const entries = Object.entries(holder);
  const order = entries.map(([key], index) => ({ rank: ((index + 1) * 7919 * (seed + 1)) % 101, key, index }));
  return Object.fromEntries(
    order.toSorted((a, b) => a.rank - b.rank || a.index - b.index).map(({ index }) => entries[index]!),
  );
}

function shuffledAll(resources: readonly PlainResource[], seed: number): PlainResource[] {
  return resources.map((group) => ({
    attributes: shuffled(group.attributes, seed),
    scopes: group.scopes.map((scope) => ({
      attributes: shuffled(scope.attributes, seed),
      records: scope.records.map((record) => shuffled(record, seed)),
    })),
  }));
}

/** Every id that one set of attributes names for a field, in any spelling, as text. */
function named(holder: Plain, field: keyof typeof SPELLINGS): string[] {
  return SPELLINGS[field].flatMap((key) => (holder[key] === undefined ? [] : [asText(holder[key])]));
}

function asText(value: unknown): string {
  return typeof value === "string" ? value.trim() : JSON.stringify(value ?? "").replaceAll('"', "");
}

describe("worker_identity", () => {
  it("changes nothing more when it runs a second time", async () => {
    await fc.assert(
      fc.asyncProperty(signal, request, settings, async (name, resources, run) => {
        const once = await identify(name, resources, run);
        expect(await identify(name, once, run)).toEqual(once);
      }),
      fuzz(1_000),
    );
  });

  it("gives the same whatever the order of attributes", async () => {
    await fc.assert(
      fc.asyncProperty(signal, request, settings, fc.nat(50), async (name, resources, run, seed) => {
        const output = await identify(name, shuffledAll(resources, seed), run);
        expect(output).toEqual(await identify(name, resources, run));
      }),
      fuzz(500),
    );
  });

  it("loses no record, and touches no attribute but the table's", async () => {
    await fc.assert(
      fc.asyncProperty(signal, request, settings, async (name, resources, run) => {
        const before = byNumber(numbered(resources));
        const after = byNumber(await identify(name, numbered(resources), run));
        expect(after.size).toBe(before.size);
        for (const [number, placed] of after) {
          const was = before.get(number)!;
          expect(without(placed.resource, RESOURCE_KEYS)).toEqual(without(was.resource, RESOURCE_KEYS));
          expect(without(placed.scope, TABLE_KEYS)).toEqual(without(was.scope, TABLE_KEYS));
          const kept = name === "metrics" ? [] : WRITTEN_KEYS;
          expect(without(placed.record, kept)).toEqual(without(was.record, kept));
        }
      }),
      fuzz(500),
    );
  });

  it("puts no record under a machine or worker that nobody named for it", async () => {
    await fc.assert(
      fc.asyncProperty(signal, request, settings, async (name, resources, run) => {
        const before = byNumber(numbered(resources));
        const after = byNumber(await identify(name, numbered(resources), run));
        const made = [...after].filter(([number, { resource }]) => {
          return !isNamed(resource, sourcesOf(name, before.get(number)!, run));
        });
        expect(made).toEqual([]);
      }),
      fuzz(1_000),
    );
  });

  it("never overwrites an id that the resource has chosen", async () => {
    await fc.assert(
      fc.asyncProperty(signal, request, settings, async (name, resources, run) => {
        const before = byNumber(numbered(resources));
        const after = byNumber(await identify(name, numbered(resources), run));
        const overwritten = [...after].filter(([number, { resource }]) => {
          const was = before.get(number)!.resource;
          const isChosen = (key: string): boolean => was[key] !== undefined && was[key] !== " ";
          return CHOSEN_KEYS.some((key) => isChosen(key) && asText(resource[key]) !== asText(was[key]));
        });
        expect(overwritten).toEqual([]);
      }),
      fuzz(500),
    );
  });

  it("leaves every log record's job where search finds it", async () => {
    await fc.assert(
      fc.asyncProperty(request, settings, async (resources, run) => {
        const before = byNumber(numbered(resources));
        const after = byNumber(await identify("logs", numbered(resources), run));
        const lost = [...after].filter(([number, { record }]) => {
          const was = before.get(number)!;
          const jobs = [was.record, was.scope, was.resource].flatMap((holder) => named(holder, "jobId"));
          // `true` is no id; where it stands first, the job is unknown.
          return jobs.length > 0 && !jobs.includes("true") && !jobs.includes(asText(record[LOG_JOB_ID]));
        });
        expect(lost).toEqual([]);
      }),
      fuzz(500),
    );
  });
});

const CHOSEN_KEYS = ["machine.id", "worker.id", "service.type"];

interface Source {
  readonly machine: readonly string[];
  readonly worker: readonly string[];
}

/** Who may name a record: its resource first, then everything else. */
function sourcesOf(name: SignalName, was: Placed, run: Run): Source[] {
  const holders = name === "metrics" ? [was.resource, was.scope] : [was.resource, was.record, was.scope];
  return [
    ...holders.map((holder) => ({ machine: named(holder, "machine"), worker: named(holder, "worker") })),
    { machine: given(run.client["x-machine-id"]), worker: given(run.client["x-worker-id"]) },
    { machine: given(run.config.machine_id), worker: given(run.config.worker_id) },
  ];
}

function given(id: string | undefined): string[] {
  return id === undefined || id === "" ? [] : [id];
}

/**
 * Each id comes from a source, and both together only where the source of the worker named that machine, or none. A worker
 * that the resource itself names may be given a machine by others.
 */
function isNamed(resource: Plain, sources: readonly Source[]): boolean {
  const machineId = given(asText(resource["machine.id"]))[0];
  const workerId = given(asText(resource["worker.id"]))[0];
  if (machineId !== undefined && !sources.some((source) => source.machine.includes(machineId))) return false;
  if (workerId === undefined) return true;
  const naming = sources.filter((source) => source.worker.includes(workerId));
  if (machineId === undefined) return naming.length > 0;
  return naming.some((source) => {
    const machines = source.machine.filter((id) => id !== "");
    return source === sources[0] || machines.length === 0 || machines.includes(machineId);
  });
}
