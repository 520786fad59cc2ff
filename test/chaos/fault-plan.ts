import { seeded } from "../support/seeded.ts";

/**
 * What goes wrong and when: drawn from a seed before anything starts, so that a run can be repeated. A fault belongs to
 * a lane; faults of one lane follow each other, those of different lanes overlap as they come.
 */

export const PROCESS_FAULTS = ["kill", "power_cut", "terminate", "stop", "reload"] as const;
export const DISK_FAULTS = ["disk_full", "disk_error"] as const;
export const BACKEND_FAULTS = [
  "cut",
  "hang_up",
  "late",
  "slow",
  "too_many_429",
  "unavailable_503",
  "bad_400",
  "too_large_413",
  "partial_success",
  "garbage_body",
  "garbage_protocol",
] as const;

export type ProcessFault = (typeof PROCESS_FAULTS)[number];
export type DiskFault = (typeof DISK_FAULTS)[number];
export type BackendFault = (typeof BACKEND_FAULTS)[number];
export type FaultKind = ProcessFault | DiskFault | BackendFault;

export const FAULT_KINDS: readonly FaultKind[] = [...PROCESS_FAULTS, ...DISK_FAULTS, ...BACKEND_FAULTS];

/** A kill is what hurts most: three of a deck. */
export const DEFAULT_KINDS: readonly FaultKind[] = [...FAULT_KINDS, "kill", "kill"];

export type Lane = "process" | "disk" | "backend 0" | "backend 1";

export interface PlannedFault {
  /** Counts from 1, in the order of the plan. */
  readonly id: number;
  readonly kind: FaultKind;
  readonly lane: Lane;
  /** After the start of the run. */
  readonly atMs: number;
  /** How long it lasts; of a kill, how long until the next one where it strikes twice, else 0. */
  readonly durationMs: number;
}

export interface PlanSettings {
  readonly seed: number;
  readonly faults: number;
  readonly seconds: number;
  readonly kinds: readonly FaultKind[];
}

/** From the shortest to the longest, in milliseconds; a lane's slot may cut it shorter. */
const DURATIONS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [20, 900],
  power_cut: [0, 0],
  terminate: [0, 0],
  stop: [100, 2500],
  reload: [0, 0],
  disk_full: [200, 1500],
  disk_error: [200, 1500],
  cut: [100, 4000],
  hang_up: [200, 1500],
  late: [500, 3000],
  slow: [500, 2500],
  too_many_429: [200, 2500],
  unavailable_503: [200, 2500],
  bad_400: [200, 1000],
  too_large_413: [200, 2500],
  partial_success: [200, 1500],
  garbage_body: [200, 1500],
  garbage_protocol: [200, 1500],
};

/** Of a lane's slot, a fault starts in the first part and leaves the last part alone. */
const START_SHARE = 0.3;
const LENGTH_SHARE = 0.5;

/** One kill of so many strikes again while the gateway is starting. */
const SECOND_KILL_SHARE = 0.3;

/** Each kind comes once before any comes twice: a short run has seen them all. */
export function planFaults({ seed, faults, seconds, kinds }: PlanSettings): PlannedFault[] {
  const random = seeded(seed);
  const drawn: { kind: FaultKind; lane: Lane }[] = [];
  while (drawn.length < faults) {
    for (const kind of shuffled(kinds, random)) {
      if (drawn.length < faults) drawn.push({ kind, lane: laneOf(kind, random) });
    }
  }
  const lanes = new Map<Lane, FaultKind[]>();
  for (const { kind, lane } of drawn) lanes.set(lane, [...(lanes.get(lane) ?? []), kind]);
  const placed = [...lanes].flatMap(([lane, laneKinds]) => placeInLane(lane, laneKinds, seconds * 1000, random));
  return placed.toSorted((left, right) => left.atMs - right.atMs).map((fault, index) => ({ id: index + 1, ...fault }));
}

function placeInLane(
  lane: Lane,
  kinds: readonly FaultKind[],
  spanMs: number,
  random: () => number,
): Omit<PlannedFault, "id">[] {
  const slotMs = spanMs / kinds.length;
  return kinds.map((kind, index) => {
    const atMs = (index + random() * START_SHARE) * slotMs;
    return { kind, lane, atMs, durationMs: durationOf(kind, slotMs * LENGTH_SHARE, random) };
  });
}

function durationOf(kind: FaultKind, slotMs: number, random: () => number): number {
  const [shortest, longest] = DURATIONS[kind];
  const drawnMs = shortest + random() * (longest - shortest);
  if (kind === "kill") return random() < SECOND_KILL_SHARE ? drawnMs : 0;
  return Math.min(drawnMs, slotMs);
}

function laneOf(kind: FaultKind, random: () => number): Lane {
  if (isOneOf(PROCESS_FAULTS, kind)) return "process";
  if (isOneOf(DISK_FAULTS, kind)) return "disk";
  return random() < 0.5 ? "backend 0" : "backend 1";
}

export function isOneOf<T extends string>(kinds: readonly T[], kind: string): kind is T {
  return kinds.some((known) => known === kind);
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  return values
    .map((value) => ({ value, order: random() }))
    .toSorted((left, right) => left.order - right.order)
    .map(({ value }) => value);
}
