import { SPELLINGS } from "../core/spellings.ts";

/**
 * The store's keys and the spellings they come in. Both what records carry and what people type is turned into the
 * canonical name on the left, so `machine.id:x` and `machine_id:x` find the same.
 */
const KEYS = {
  job_id: SPELLINGS.jobId,
  machine_id: SPELLINGS.machine,
  worker_id: SPELLINGS.worker,
  service_type: SPELLINGS.serviceType,
  service_name: ["service.name", "serviceName", "service"],
  instance_id: [...SPELLINGS.instance, "instance.id"],
  trace_id: ["trace.id", "traceId", "trace"],
  span_id: ["span.id", "spanId"],
  level: ["severity", "severity_text"],
  message: ["body", "msg"],
  duration_ms: ["duration.ms", "durationMs"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type CanonicalKey = keyof typeof KEYS;

const CANONICAL = new Map<string, CanonicalKey>();
for (const [name, spellings] of Object.entries(KEYS)) {
  for (const spelling of [name, ...spellings]) CANONICAL.set(spelling.toLowerCase(), name as CanonicalKey);
}

/** The canonical name of a known key in any case; any other key as it is. */
export function canonicalKey(key: string): string {
  return CANONICAL.get(key.toLowerCase()) ?? key;
}

/** Whether the key has a meaning of its own, in any of its spellings. */
export function isKnownKey(key: string): boolean {
  return CANONICAL.has(key.toLowerCase());
}

/** For "did you mean". */
export const KNOWN_KEYS: readonly string[] = Object.keys(KEYS);

/** Under which keys a record or resource may carry this, the canonical spelling first. */
export function spellingsOf(
  key: "job_id" | "machine_id" | "worker_id" | "service_type" | "duration_ms",
): readonly string[] {
  return [...new Set([key, ...KEYS[key]])];
}
