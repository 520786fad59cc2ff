#!/usr/bin/env node
// The command of the installed package: checks the Node version before anything that needs it is loaded, then runs the built gateway.
import { existsSync } from "node:fs";

const NEEDED = [24, 12];
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  process.stderr.write(
    `signalbox needs Node ${NEEDED.join(".")} or newer; this is ${process.version} (${process.execPath})\n` +
      "install a newer Node, or run it in the container image\n",
  );
  process.exit(2);
}
const main = new URL("../dist/src/main.js", import.meta.url);
if (!existsSync(main)) {
  process.stderr.write("signalbox is not built here: run `npm run build`, or in a checkout `npm run -s signalbox`\n");
  process.exit(2);
}
await import(main.href);
