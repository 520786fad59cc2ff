import type { Disk } from "./disk.ts";
import type { SegmentEnd } from "./format.ts";

export const CLOSED_NAME = "closed.json";

/** What a log that was closed in order held, so that the next start knows what is missing since. */
export interface ClosedState {
  readonly end: SegmentEnd;
  readonly nextSequence: number;
  readonly totals: readonly (readonly [counter: string, items: number])[];
}

export async function writeClosed(disk: Disk, folder: string, state: ClosedState): Promise<void> {
  await disk.writeFile(folder, CLOSED_NAME, Buffer.from(JSON.stringify(state)));
}

/** undefined after a crash, and where the file is no whole JSON: torn or damaged, it says nothing. */
export async function readClosed(disk: Disk, folder: string): Promise<ClosedState | undefined> {
  try {
    const state: unknown = JSON.parse(await readText(disk, folder));
    return isClosedState(state) ? state : undefined;
  } catch {
    return undefined;
  }
}

/** What is written from now on makes it stale. One that cannot be removed is found out by its size (log-replay.ts). */
export async function removeClosed(disk: Disk, folder: string): Promise<void> {
  await disk.remove(folder, CLOSED_NAME).catch(() => undefined);
}

async function readText(disk: Disk, folder: string): Promise<string> {
  const file = await disk.openForReading(folder, CLOSED_NAME);
  try {
    return (await file.read(0, await file.size())).toString("utf8");
  } finally {
    await file.close();
  }
}

function isClosedState(state: unknown): state is ClosedState {
  if (typeof state !== "object" || state === null) return false;
  if (!("end" in state && "nextSequence" in state && "totals" in state)) return false;
  const { end, nextSequence, totals } = state;
  if (typeof end !== "object" || end === null || typeof nextSequence !== "number" || !Array.isArray(totals))
    return false;
  return (["segment", "size", "frameCount"] as const).every(
    (key) => key in end && typeof Reflect.get(end, key) === "number",
  );
}
