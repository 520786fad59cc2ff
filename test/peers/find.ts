import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Real peers in the user's cache, put there by test/peers/install.sh. */

const folder = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "signalbox", "peers");
const here = fileURLToPath(new URL(".", import.meta.url));
const repository = fileURLToPath(new URL("../..", import.meta.url));

export const PEER_HINT = "run test/peers/install.sh to have it";

/** The core Collector's binary, or undefined where it has not been built. */
export function findCollector(): string | undefined {
  const manifest = join(here, "collector-0.165.0.yaml");
  return executable(join(folder, `otelcol-core-0.165.0-${hashOf(manifest)}`, "otelcol-core"));
}

/** The Collector with contrib's processors, or undefined where it has not been built. */
export function findContribCollector(): string | undefined {
  const manifest = join(here, "collector-contrib-0.149.0.yaml");
  return executable(join(folder, `otelcol-contrib-0.149.0-${hashOf(manifest)}`, "otelcol-contrib"));
}

/** A Go module that building the peers has brought into Go's module cache, or undefined. */
export function findGoModule(path: string): string | undefined {
  const cache = process.env["GOMODCACHE"] ?? join(process.env["GOPATH"] ?? join(homedir(), "go"), "pkg", "mod");
  const found = join(cache, path);
  return existsSync(found) ? found : undefined;
}

/** A Python with the OpenTelemetry SDK, or undefined where it has not been installed. */
export function findPython(): string | undefined {
  const requirements = join(repository, "examples/python/requirements.txt");
  return executable(join(folder, `python-${hashOf(requirements)}`, "bin", "python"));
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 12);
}

function executable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return undefined;
  }
}

/** promtool: as a command of this machine, or as install.sh unpacked it. */
export function findPromtool(): string | undefined {
  if (spawnSync("promtool", ["--version"]).error === undefined) return "promtool";
  return executable(join(folder, "promtool", "promtool"));
}
