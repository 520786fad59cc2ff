import { existsSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_FOLDER } from "../core/package-files.ts";

/** How a person calls the command: a checkout is run by npm scripts, an installed package by its own name. */
export function commandName(): string {
  return existsSync(join(PACKAGE_FOLDER, ".git")) ? "npm run -s signalbox" : "signalbox";
}
