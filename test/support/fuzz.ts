/**
 * How often, and from which seed, properties are tried. The ordinary run is short and the same for everyone;
 * `npm run fuzz` (tools/fuzz.ts) runs all of them longer from a seed of its own, which it prints.
 *
 *   SIGNALBOX_FUZZ=20             twenty times the ordinary number of runs
 *   SIGNALBOX_FUZZ_SEED=12345     another seed; "random" for a new one in each file
 *
 * A failure prints the seed and the smallest input that fails: keep that input in the test file, as an example.
 */
const { SIGNALBOX_FUZZ: times = "1", SIGNALBOX_FUZZ_SEED: seed = "20261124" } = process.env;

/** By how much the runs are longer than the ordinary ones. */
export const FUZZ_TIMES: number = Number(times);

const SEED = seed === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(seed);

if (!(FUZZ_TIMES > 0))
  throw new Error(`SIGNALBOX_FUZZ is ${times}; write how many times the ordinary runs, such as 20`);
if (!Number.isInteger(SEED)) throw new Error(`SIGNALBOX_FUZZ_SEED is ${seed}; write a whole number, or random`);

/** As fast-check wants it; `usualRuns` are those of the ordinary test run. */
export function fuzz(usualRuns = 100): { readonly numRuns: number; readonly seed: number } {
  return { numRuns: Math.ceil(usualRuns * FUZZ_TIMES), seed: SEED };
}
