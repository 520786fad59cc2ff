import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import type { Clock, Timer } from "./clock.ts";

/**
 * The young generation is 1 MiB a half when a process starts, and stays so while there is little to do: memory of an idle
 * gateway. Under load it grows to 3 and no further (V8 would go to 16).
 *
 * The bets. Smaller: what waits for its batch, some hundred ms, has been copied into the old generation when it is sent, and
 * full collections come two to five times as often; each holds answers up for tens of milliseconds on one core. Larger:
 * buffers of requests outside the heap are freed only when the young generation is collected, so that the peak of memory
 * rises. bench/README.md has figures.
 */
const HALF_BYTES_MAX = 3 * 1024 * 1024;
const LOOK_INTERVAL_MS = 1000;
/**
 * So long V8 may grow it, which it does at a collection once as much as a half has survived. Long enough to meet one under
 * load; too short for a second step, for which 3 MiB would have to survive meanwhile.
 */
const WINDOW_MS = 50;

/** The part of V8 that is asked and told. */
export interface YoungGeneration {
  /** What one half of it holds now. */
  halfBytes(): number;
  /** By what the next growth multiplies it; 1: none. */
  setGrowthFactor(factor: number): void;
}

const v8YoungGeneration: YoungGeneration = {
  halfBytes: () => {
    const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
    return space === undefined ? Infinity : space.space_used_size + space.space_available_size;
  },
  // Read at each growth, unlike the sizes themselves, which V8 takes at the start of the process only.
  setGrowthFactor: (factor) => setFlagsFromString(`--semi-space-growth-factor=${factor}`),
};

/** Called once, before there is a load. V8 makes it small again by itself when little happens. */
export function boundYoungGeneration(clock: Clock, young: YoungGeneration = v8YoungGeneration): Timer {
  young.setGrowthFactor(1);
  let timer = clock.after(LOOK_INTERVAL_MS, look);
  function look(): void {
    // In one step. Pages have headers: a half of 1 MiB holds a little less.
    const factor = Math.floor(HALF_BYTES_MAX / young.halfBytes());
    if (factor <= 1) {
      timer = clock.after(LOOK_INTERVAL_MS, look);
      return;
    }
    young.setGrowthFactor(factor);
    timer = clock.after(WINDOW_MS, () => {
      young.setGrowthFactor(1);
      timer = clock.after(LOOK_INTERVAL_MS, look);
    });
  }
  return { cancel: () => timer.cancel() };
}
