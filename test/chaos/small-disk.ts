import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SmallDisk } from "./run.ts";

/** Room for a run's segments; what is not needed is filled when the disk is to be full. */
const SIZE = "64m";

/** How a process comes into a mount namespace of its own: as root, or as anyone where the kernel allows that. */
const WAYS: readonly (readonly string[])[] = [["-m"], ["-Urm"]];

const INSIDE = "--inside-small-disk";

export function isInside(args: readonly string[]): boolean {
  return args.includes(INSIDE);
}

/**
 * Runs this command again where a file system can be mounted that nobody else sees, and that goes with it. Gives its exit
 * code; undefined where this machine has no way to do so.
 */
export function runInside(args: readonly string[]): number | undefined {
  const way = WAYS.find(
    (flags) => spawnSync("unshare", [...flags, "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status === 0,
  );
  if (way === undefined) return undefined;
  const command = [process.execPath, ...process.execArgv, process.argv[1] ?? "", ...args, INSIDE];
  return spawnSync("unshare", [...way, ...command], { stdio: "inherit" }).status ?? 1;
}

/** A tmpfs of a few MiB, which can be filled to the last byte. */
export function mountSmallDisk(): SmallDisk & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-small-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", folder]);
  if (mounted.status !== 0) throw new Error(`no small file system can be mounted: ${String(mounted.stderr)}`);
  const ballast = join(folder, "ballast");
  return {
    folder,
    fill: () => {
      fill(ballast);
      return Promise.resolve();
    },
    free: () => {
      rmSync(ballast, { force: true });
      return Promise.resolve();
    },
    [Symbol.dispose]: () => {
      spawnSync("umount", [folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** By the MiB, then by the page. */
function fill(path: string): void {
  const handle = openSync(path, "w");
  for (const size of [1024 * 1024, 4096]) {
    const bytes = Buffer.alloc(size);
    let isFull = false;
    while (!isFull) {
      try {
        isFull = writeSync(handle, bytes) < size;
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
        isFull = true;
      }
    }
  }
  closeSync(handle);
}
