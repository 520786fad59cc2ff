import { formatDuration } from "../../config/duration.ts";
import type { Health } from "../../core/health.ts";

/** Components that are not well in one answer: who asks wants to know which, not all of a hundred that have not started. */
const UNWELL_MAX = 20;

/** The Collector's answer, and which components are not well. */
export function formatHealth(health: Health, nowMs: number): string {
  const { isReady, readySinceMs } = health;
  const status = isReady ? "Server available" : "Server not available";
  if (isReady && readySinceMs !== undefined) {
    const upSince = new Date(readySinceMs).toISOString();
    return JSON.stringify({
      status,
      upSince,
      uptime: formatDuration(Math.floor((nowMs - readySinceMs) / 1000) * 1000),
    });
  }
  const unwell = health.components().filter(({ state }) => state !== "ok");
  return JSON.stringify({ status, components: unwell.slice(0, UNWELL_MAX) });
}
