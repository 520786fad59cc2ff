import * as fc from "fast-check";

/**
 * Runs of each property: few in the ordinary test run, more by SIGNALBOX_FUZZ_RUNS. A fixed seed keeps the ordinary run
 * the same for everyone; SIGNALBOX_FUZZ_SEED=random or a number changes it. A failure prints the seed that it had.
 */
export function fuzzRuns(usual: number): { readonly numRuns: number; readonly seed: number } {
  const { SIGNALBOX_FUZZ_RUNS: runs, SIGNALBOX_FUZZ_SEED: seed = "20261124" } = process.env;
  return {
    numRuns: runs === undefined ? usual : Number(runs),
    seed: seed === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(seed),
  };
}

export const seeds: fc.Arbitrary<number> = fc.integer({ min: 0, max: 2 ** 31 - 1 });
