import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The package's own folder: the checkout, or where npm installed it. It refers to itself by name, which both find. */
export const packageFolder = dirname(createRequire(import.meta.url).resolve("signalbox/package.json"));

/** How a person calls the command: a checkout is run by npm scripts, an installed package by its own name. */
export function commandName(): string {
  return existsSync(join(packageFolder, ".git")) ? "npm run -s signalbox" : "signalbox";
}
