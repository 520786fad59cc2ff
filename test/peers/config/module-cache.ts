import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** The Collector's own test data, read where Go keeps the modules that the peer was built from, and never copied. */

const COLLECTOR = "go.opentelemetry.io/collector/";

// A Go binary carries the modules it was built from as text: "dep\t<module>\t<version>\t...".
const DEPENDENCY = /dep\t(go\.opentelemetry\.io\/collector\/[\w./-]+)\t(v[\w.+-]+)/g;

export function modulesOf(binary: string): ReadonlyMap<string, string> {
  const text = readFileSync(binary, "latin1");
  return new Map(Array.from(text.matchAll(DEPENDENCY), (match) => [match[1]!, match[2]!]));
}

export class ModuleCache {
  readonly #versions: ReadonlyMap<string, string>;
  readonly #folder: string;

  constructor(binary: string) {
    this.#versions = modulesOf(binary);
    const gopath = (process.env["GOPATH"] ?? "").split(delimiter)[0] || join(homedir(), "go");
    this.#folder = process.env["GOMODCACHE"] ?? join(gopath, "pkg", "mod");
  }

  /** `module` without its host, `path` inside it; undefined where the cache lacks it. */
  path(module: string, path: string): string | undefined {
    const version = this.#versions.get(COLLECTOR + module);
    if (version === undefined) return undefined;
    const file = join(this.#folder, `${COLLECTOR}${module}@${version}`, path);
    return existsSync(file) ? file : undefined;
  }
}
