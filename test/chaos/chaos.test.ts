import { describe, expect, it } from "vitest";
import { SLOW_HINT, SLOW_TESTS } from "../support/slow-tests.ts";
import type { Sabotage } from "./contenders.ts";
import { DEFAULT_KINDS, planFaults, type PlanSettings } from "./fault-plan.ts";
import { formatEvidence, formatVerdict } from "./report.ts";
import { runChaos } from "./run.ts";

/** Short forms of `npm run chaos`: README.md has the long ones. */
async function chaos(
  { seed, faults, seconds, kinds }: PlanSettings,
  sabotage?: Sabotage,
): Promise<{ failures: readonly string[]; report: string }> {
  const plan = planFaults({ seed, faults, seconds, kinds });
  const { verdict, history } = await runChaos({ seed, plan, against: "signalbox", sabotage });
  return { failures: verdict.failures, report: `${formatVerdict(verdict)}\n${formatEvidence(verdict, history)}` };
}

/** Faults, settling and two restarts, on a machine that runs other tests at the same time. */
const PATIENCE_MS = 150_000;

describe("the gateway under faults of every kind", () => {
  it(
    "loses nothing that it acknowledged, and doubles only what a fault took the answer of",
    { timeout: PATIENCE_MS },
    async () => {
      const { failures, report } = await chaos({ seed: 1, faults: 24, seconds: 10, kinds: DEFAULT_KINDS });
      expect(failures, report).toEqual([]);
    },
  );
});

/** Without fsync a kill may come when the backends have every record: then the ledger is what the disk has forgotten. */
const SIGNS: Readonly<Record<Sabotage, RegExp>> = {
  "ack-early": /acknowledged records are lost/,
  "no-fsync": /acknowledged records are lost|the ledger over all lives: accepted/,
};

describe("the harness", () => {
  it.for<Sabotage>(["ack-early", "no-fsync"])(
    "finds what a gateway with %s loses",
    { timeout: PATIENCE_MS },
    async (sabotage, { skip }) => {
      if (!SLOW_TESTS) skip(SLOW_HINT);
      const { failures } = await chaos(
        { seed: 1, faults: 6, seconds: 5, kinds: ["kill", "cut", "disk_full"] },
        sabotage,
      );
      expect(failures.join("\n")).toMatch(SIGNS[sabotage]);
    },
  );
});
