import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

// The package refers to itself by name, so that sources, built files and tests find the same package.json wherever they lie.
const requireHere = createRequire(import.meta.url);

/** The package's own folder: the checkout, or where npm installed it. */
export const PACKAGE_FOLDER = dirname(requireHere.resolve("signalbox/package.json"));

/** In a checkout Node runs the sources; the published package holds JavaScript only, since type stripping is refused under node_modules. */
export const RUNS_FROM_SOURCES = import.meta.url.endsWith(".ts");

/**
 * Where a module of ours lies at run time, for what loads it by its place: a thread, the SDK for users' files.
 * `module` is its path in the checkout without extension: `src/sdk/index`. In the built package it is an entry of tools/build.ts.
 */
export function moduleUrl(module: string): URL {
  const file = RUNS_FROM_SOURCES ? `${module}.ts` : join("dist", `${module}.js`);
  return pathToFileURL(join(PACKAGE_FOLDER, file));
}

/** The processors that come with the package. */
export const OWN_PROCESSORS_FOLDER = join(
  PACKAGE_FOLDER,
  RUNS_FROM_SOURCES ? "processors" : join("dist", "processors"),
);
