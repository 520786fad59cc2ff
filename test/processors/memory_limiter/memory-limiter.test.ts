import { describe, expect, test } from "vitest";
import type { Host, Pressure, Settings } from "../../../src/core/component.ts";
import type { Logger } from "../../../src/core/logger.ts";
import { MetricsRegistry } from "../../../src/service/metrics-registry.ts";
import { memoryLimiterConfig } from "../../../src/processors/memory_limiter/config.ts";
import { createMemoryLimiterFactory } from "../../../src/processors/memory_limiter/factory.ts";
import { resolveLimits } from "../../../src/processors/memory_limiter/limits.ts";
import { type ProcessMemory, processMemory } from "../../../src/processors/memory_limiter/memory.ts";
import { TestClock } from "../../support/test-clock.ts";

const MIB = 1024 * 1024;

interface Rig {
  readonly clock: TestClock;
  readonly pressures: Pressure[];
  readonly collections: () => number;
  usedMib: number;
  /** What a collection frees. */
  garbageMib: number;
}

function createRig(yaml: object): Rig & { start(): Promise<void>; stop(): Promise<void> } {
  const clock = new TestClock();
  let collections = 0;
  const rig = { clock, pressures: [] as Pressure[], collections: () => collections, usedMib: 0, garbageMib: 0 };
  const memory: ProcessMemory = {
    usedBytes: () => rig.usedMib * MIB,
    totalBytes: () => 1000 * MIB,
    collectGarbage: () => {
      collections += 1;
      rig.usedMib -= rig.garbageMib;
      rig.garbageMib = 0;
    },
  };
  const quiet: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, with: () => quiet };
  const settings: Settings = { id: { type: "memory_limiter" }, logger: quiet, meter: new MetricsRegistry(), clock };
  const factory = createMemoryLimiterFactory(memory);
  const config = memoryLimiterConfig.parse(yaml);
  const next = { mutatesData: false, consume: async () => {} };
  const processors = [factory.create("logs", settings, config, next), factory.create("traces", settings, config, next)];
  const host = {
    reportPressure: (_: string, pressure: Pressure) => rig.pressures.push(pressure),
  } as Partial<Host> as Host;
  return Object.assign(rig, {
    start: async () => void (await Promise.all(processors.map((processor) => processor.start(host)))),
    stop: async () => void (await Promise.all(processors.map((p) => p.shutdown(AbortSignal.abort())))),
  });
}

const LIMIT_100 = { check_interval: "1s", limit_mib: 100, spike_limit_mib: 20 };

describe("memory_limiter", () => {
  test("reports soft pressure above limit less spike, hard above the limit, and none once below", async () => {
    const rig = createRig(LIMIT_100);
    await rig.start();
    for (const usedMib of [50, 81, 101, 79]) {
      rig.usedMib = usedMib;
      await rig.clock.advance(1000);
    }
    expect(rig.pressures).toEqual(["soft", "hard", "none"]);
    await rig.stop();
  });

  test("collects garbage before it reports, and reports nothing where that was enough", async () => {
    const rig = createRig(LIMIT_100);
    await rig.start();
    rig.usedMib = 120;
    rig.garbageMib = 60;
    await rig.clock.advance(1000);
    expect(rig.collections()).toBe(1);
    expect(rig.pressures).toEqual([]);
    await rig.stop();
  });

  test("collects at most once per interval above the soft limit", async () => {
    const rig = createRig(LIMIT_100);
    await rig.start();
    rig.usedMib = 90;
    await rig.clock.advance(9000);
    expect(rig.collections()).toBe(1);
    await rig.clock.advance(3000);
    expect(rig.collections()).toBe(2);
    await rig.stop();
  });

  test("never collects where garbage_collector is off", async () => {
    const rig = createRig({ ...LIMIT_100, garbage_collector: { enabled: false } });
    await rig.start();
    rig.usedMib = 120;
    await rig.clock.advance(5000);
    expect(rig.collections()).toBe(0);
    expect(rig.pressures).toEqual(["hard"]);
    await rig.stop();
  });

  test("gives the doors free when it stops", async () => {
    const rig = createRig(LIMIT_100);
    await rig.start();
    rig.usedMib = 120;
    await rig.clock.advance(1000);
    await rig.stop();
    expect(rig.pressures).toEqual(["hard", "none"]);
  });

  test("is stopped before it is started without harm", async () => {
    const rig = createRig(LIMIT_100);
    await rig.stop();
    await rig.stop();
    expect(rig.pressures).toEqual([]);
  });

  test("takes its limits from mebibytes before percentages, and a fifth as spike", () => {
    const parse = (yaml: object): ReturnType<typeof resolveLimits> =>
      resolveLimits(memoryLimiterConfig.parse({ check_interval: "1s", ...yaml }), 1000 * MIB);
    expect(parse({ limit_mib: 100, limit_percentage: 50 })).toEqual({ hardBytes: 100 * MIB, softBytes: 80 * MIB });
    expect(parse({ limit_percentage: 50 })).toEqual({ hardBytes: 500 * MIB, softBytes: 400 * MIB });
    expect(parse({ limit_percentage: 50, spike_limit_percentage: 10 })).toEqual({
      hardBytes: 500 * MIB,
      softBytes: 400 * MIB,
    });
  });

  test("refuses a configuration in the Collector's words", () => {
    const problems = (yaml: object): string[] =>
      (memoryLimiterConfig.safeParse(yaml).error?.issues ?? []).map(({ message }) => message);
    expect(problems({})).toEqual([
      "'check_interval' must be greater than zero",
      "'limit_mib' or 'limit_percentage' must be greater than zero",
    ]);
    expect(problems({ ...LIMIT_100, spike_limit_mib: 100 })).toEqual([
      "'spike_limit_mib' must be smaller than 'limit_mib'",
    ]);
    expect(problems({ ...LIMIT_100, min_gc_interval_when_hard_limited: "11s" })).toEqual([
      "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'",
    ]);
    expect(problems({ ...LIMIT_100, max_gc_interval_when_soft_limited: "9s" })).toEqual([
      "'max_gc_interval_when_soft_limited' must be greater than or equal to 'min_gc_interval_when_soft_limited' (or 0 to disable)",
    ]);
    expect(problems({ ...LIMIT_100, max_gc_interval_when_soft_limited: 0 })).toEqual([]);
  });
});

describe("the process's memory", () => {
  test("counts buffers outside V8's heap, and collects them", async () => {
    // What earlier tests have left is not to be collected in between.
    processMemory.collectGarbage();
    const before = processMemory.usedBytes();
    let held: Buffer | undefined = Buffer.alloc(64 * MIB);
    expect(processMemory.usedBytes() - before).toBeGreaterThan(32 * MIB);
    expect(held.byteLength).toBe(64 * MIB);
    held = undefined;
    processMemory.collectGarbage();
    // V8 gives such memory back in a thread of its own, some time after the collection.
    await expect.poll(() => processMemory.usedBytes() - before, { timeout: 10_000 }).toBeLessThan(32 * MIB);
  });

  test("knows how much there is", () => expect(processMemory.totalBytes()).toBeGreaterThan(64 * MIB));
});
