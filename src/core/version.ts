import { createRequire } from "node:module";

interface PackageFile {
  readonly version: string;
}

// The package refers to itself by name, so that the sources and the built files find the same package.json.
const packageFile = createRequire(import.meta.url)("signalbox/package.json") as PackageFile;

/** As in package.json: `0.1.0`. */
export const VERSION = packageFile.version;

/** How we introduce ourselves to backends. */
export const USER_AGENT = `Signalbox/${VERSION}`;
