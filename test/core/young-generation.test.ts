import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { boundYoungGeneration, type YoungGeneration } from "../../src/core/young-generation.ts";
import { TestClock } from "../support/test-clock.ts";

const MIB = 1024 * 1024;

class FakeGeneration implements YoungGeneration {
  readonly factors: number[] = [];
  halfMib = 0.97;

  halfBytes(): number {
    return this.halfMib * MIB;
  }

  setGrowthFactor(factor: number): void {
    this.factors.push(factor);
  }
}

describe("the young generation", () => {
  it("may grow threefold for 50 ms of each second while it is small", async () => {
    const clock = new TestClock();
    const young = new FakeGeneration();
    boundYoungGeneration(clock, young);
    expect(young.factors).toEqual([1]);
    await clock.advance(1000);
    expect(young.factors).toEqual([1, 3]);
    await clock.advance(50);
    expect(young.factors).toEqual([1, 3, 1]);
    await clock.advance(1000);
    expect(young.factors).toEqual([1, 3, 1, 3]);
  });

  it("is left alone at its bound, and may grow again when V8 has made it small", async () => {
    const clock = new TestClock();
    const young = new FakeGeneration();
    boundYoungGeneration(clock, young);
    young.halfMib = 2.9;
    await clock.advance(5000);
    expect(young.factors).toEqual([1]);
    young.halfMib = 1.4;
    await clock.advance(1000);
    expect(young.factors).toEqual([1, 2]);
  });

  it("ends with its timer", async () => {
    const clock = new TestClock();
    const young = new FakeGeneration();
    boundYoungGeneration(clock, young).cancel();
    await clock.advance(5000);
    expect(young.factors).toEqual([1]);
  });

  it("grows to 3 MiB a half in a process whose requests live for a while, and no further", () => {
    const sources = fileURLToPath(new URL("../../src/core/", import.meta.url));
    const halfMib = Number(execFileSync(process.execPath, ["--input-type=module", "-e", load(sources)]).toString());
    expect(halfMib).toBeGreaterThan(2.5);
    expect(halfMib).toBeLessThanOrEqual(3);
  });
});

/** Holds what it makes for some thousand turns; waits for the growth, and then a dozen looks more. */
function load(sources: string): string {
  return `
    import { getHeapSpaceStatistics } from "node:v8";
    import { systemClock } from "${sources}clock.ts";
    import { boundYoungGeneration } from "${sources}young-generation.ts";
    // Time that goes ten times as fast: a look every 100 ms.
    boundYoungGeneration({ after: (delayMs, callback) => systemClock.after(delayMs / 10, callback) });
    const halfMib = () => {
      const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
      return (space.space_used_size + space.space_available_size) / ${MIB};
    };
    const held = [];
    const endMs = performance.now() + 20_000;
    let left = 200_000;
    while (left > 0 && performance.now() < endMs) {
      for (let made = 0; made < 100; made += 1) held.push({ made, of: [made] });
      if (held.length > 20_000) held.splice(0, 10_000);
      if (halfMib() > 2) left -= 1_000;
      await new Promise((resolve) => setImmediate(resolve));
    }
    process.stdout.write(String(halfMib()));
  `;
}
