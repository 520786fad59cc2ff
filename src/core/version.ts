import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_FOLDER } from "./package-files.ts";

interface PackageFile {
  readonly version: string;
}

const packageFile = JSON.parse(readFileSync(join(PACKAGE_FOLDER, "package.json"), "utf8")) as PackageFile;

/** As in package.json: `0.1.0`. */
export const VERSION = packageFile.version;

/** How we introduce ourselves to backends. */
export const USER_AGENT = `Signalbox/${VERSION}`;
