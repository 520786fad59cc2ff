/**
 * The command line. Everything that starts, reads the environment or ends the process begins here; the rest of the
 * code is given what it needs.
 */
import { enableCompileCache } from "node:module";

// Type stripping costs 300 ms for our sources at each start; the cache brings the second one to a third.
enableCompileCache();

// After the cache is on, or these modules would be compiled without it.
const { runCommandLine } = await import("./cli/command-line.ts");

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  env: process.env,
  isTty: process.stdout.isTTY,
});
