import { z } from "zod";
import { block, defaultBlock, duration, refuse, withoutEffect } from "../../config/types.ts";

const mib = z.int().min(0);
const percentage = z.int().min(0).max(100);

/** The Collector's keys and defaults (internal/memorylimiter/config.go). */
export const memoryLimiterConfig = block({
  check_interval: duration({ default: "0s" }).describe("How often the memory is measured; must be set."),
  limit_mib: mib
    .default(0)
    .describe("Hard limit of V8's heap and external memory, in MiB. Wins over limit_percentage."),
  spike_limit_mib: mib
    .default(0)
    .describe("Kept free below the hard limit; the soft limit is the difference. 0: a fifth of the limit."),
  limit_percentage: percentage
    .default(0)
    .describe("Hard limit as a share of the container's memory, or of the machine's."),
  spike_limit_percentage: percentage.default(0).describe("As spike_limit_mib, as a share. 0: a fifth of the limit."),
  min_gc_interval_when_soft_limited: duration({ default: "10s" }).describe(
    "Garbage is collected at most this often above the soft limit.",
  ),
  min_gc_interval_when_hard_limited: duration({ default: "0s" }).describe(
    "Garbage is collected at most this often above the hard limit.",
  ),
  max_gc_interval_when_soft_limited: withoutEffect(
    duration({ default: "30s" }),
    "V8 decides when to collect beyond that",
  ).describe("Read for compatibility."),
  max_gc_interval_when_hard_limited: withoutEffect(
    duration({ default: "30s" }),
    "V8 decides when to collect beyond that",
  ).describe("Read for compatibility."),
  garbage_collector: defaultBlock({
    enabled: z.boolean().default(true).describe("Collect garbage above a limit before acting on it."),
  }).describe("Garbage collection."),
}).superRefine((config, context) => {
  if (config.check_interval === 0) {
    refuse(context, {
      path: ["check_interval"],
      message: "'check_interval' must be greater than zero",
      fix: 'write "1s"',
    });
  }
  if (config.limit_mib === 0 && config.limit_percentage === 0) {
    refuse(context, {
      path: ["limit_mib"],
      message: "'limit_mib' or 'limit_percentage' must be greater than zero",
      fix: "write limit_mib: 512, or limit_percentage: 75",
    });
  }
  refuseIntervals(config, context);
  refuseSpike(config.limit_mib, config.spike_limit_mib, "mib");
  if (config.limit_mib === 0) refuseSpike(config.limit_percentage, config.spike_limit_percentage, "percentage");

  function refuseSpike(limit: number, spike: number, unit: string): void {
    if (limit === 0 || spike < limit) return;
    refuse(context, {
      path: [`spike_limit_${unit}`],
      message: `'spike_limit_${unit}' must be smaller than 'limit_${unit}'`,
      fix: `write less than ${limit}, or leave it out for a fifth of the limit`,
    });
  }
});

type Intervals = Readonly<Record<`${"min" | "max"}_gc_interval_when_${"soft" | "hard"}_limited`, number>>;

function refuseIntervals(config: Intervals, context: z.core.$RefinementCtx): void {
  if (config.min_gc_interval_when_soft_limited < config.min_gc_interval_when_hard_limited) {
    refuse(context, {
      path: ["min_gc_interval_when_soft_limited"],
      message: "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'",
      fix: "above the hard limit garbage is collected more often: write a larger one here, or a smaller one there",
    });
  }
  for (const limit of ["soft", "hard"] as const) {
    const [max, min] = [`max_gc_interval_when_${limit}_limited`, `min_gc_interval_when_${limit}_limited`] as const;
    if (config[max] === 0 || config[max] >= config[min]) continue;
    const message = `'${max}' must be greater than or equal to '${min}' (or 0 to disable)`;
    refuse(context, { path: [max], message, fix: "leave it out: it has no effect here" });
  }
}

export type MemoryLimiterConfig = z.infer<typeof memoryLimiterConfig>;
