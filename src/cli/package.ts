import { existsSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_FOLDER } from "../core/package-files.ts";

/**
 * How a person calls the command: by npm in a checkout, by its name where a package manager has linked it, and in a
 * container, where nobody has, by its file.
 */
export function commandName(): string {
  if (existsSync(join(PACKAGE_FOLDER, ".git"))) return "npm run -s signalbox";
  return PACKAGE_FOLDER.includes("node_modules") ? "npx signalbox" : "node bin/signalbox.mjs";
}
