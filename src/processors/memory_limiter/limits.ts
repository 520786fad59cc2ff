import type { MemoryLimiterConfig } from "./config.ts";

const MIB = 1024 * 1024;

/** Where the configuration names no spike, a fifth of the limit is kept free for what arrives between two checks. */
const SPIKE_SHARE = 0.2;

export interface MemoryLimits {
  readonly softBytes: number;
  readonly hardBytes: number;
}

/** `totalBytes`: the memory that this process may use (the container's limit, else the machine's). */
export function resolveLimits(config: MemoryLimiterConfig, totalBytes: number): MemoryLimits {
  const percent = (share: number): number => Math.floor((totalBytes * share) / 100);
  const hardBytes = config.limit_mib > 0 ? config.limit_mib * MIB : percent(config.limit_percentage);
  const spikeBytes =
    config.limit_mib > 0
      ? config.spike_limit_mib * MIB || Math.floor(hardBytes * SPIKE_SHARE)
      : percent(config.spike_limit_percentage) || Math.floor(hardBytes * SPIKE_SHARE);
  return { hardBytes, softBytes: hardBytes - spikeBytes };
}
