import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Signal } from "../../../src/core/signal.ts";
import { findGoModule } from "../find.ts";
import type { ProcessorCase } from "./contrib-collector.ts";

const CONTRIB = "github.com/open-telemetry/opentelemetry-collector-contrib/processor";

/** The configurations that the Collector's own tests of a processor use, read where Go's module cache has them. */
export function upstreamConfigs(type: "attributes" | "resource"): ReadonlyMap<string, unknown> {
  const module = findGoModule(`${CONTRIB}/${type}processor@v0.149.0`);
  if (module === undefined) return new Map();
  const file: unknown = parse(readFileSync(join(module, "testdata/config.yaml"), "utf8"));
  return new Map(Object.entries(file ?? {}));
}

/** Each of them for a signal, also those that do not fit it: both sides refuse these. */
export function upstreamCases(signal: Signal): ProcessorCase[] {
  return (["attributes", "resource"] as const).flatMap((type) =>
    [...upstreamConfigs(type).values()].map((config) => ({
      signal,
      type,
      // The files are written for a loader without expressions.
      yaml: JSON.stringify(config).replaceAll("$", "$$$$"),
    })),
  );
}
