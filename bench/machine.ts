import { spawnSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly node: string;
  readonly commit: string;
  /** Processes that wanted a core in the last minute; above about 2 while the bench runs, others share the machine. */
  readonly loadAverage: number;
}

export function describeMachine(root: string): Machine {
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version,
    commit: commitOf(root),
    loadAverage: Number(loadavg()[0]?.toFixed(1)),
  };
}

/** What was measured; a working tree with changes says so, and a copy without history is "unknown". */
function commitOf(root: string): string {
  const git = spawnSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" });
  return git.status === 0 ? git.stdout.trim() : "unknown";
}
