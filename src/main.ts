/**
 * The command line. Everything that starts, reads the environment or ends the process begins here; the rest of the
 * code is given what it needs.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { enableCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import { EarlySignals } from "./cli/early-signals.ts";

// Before anything else: until then a signal ends the process as if it had crashed.
const earlySignals = process.argv[2] === "run" ? new EarlySignals() : undefined;

// The young generation keeps its first size of 1 MiB a half instead of growing to 16. What a gateway makes dies with its
// request, and the buffers of requests outside the heap are freed only when the young generation is collected: the more
// often, the fewer lie about, and the fewer full collections V8 starts because of them. The bet is lost where much stays
// alive for long, which is copied into the old generation sooner. bench/README.md has figures.
setFlagsFromString("--semi-space-growth-factor=1");

// Type stripping costs 300 ms for our sources at each start; the cache brings the second one to a third.
enableCompileCache();

// After the cache is on, or these modules would be compiled without it.
const { runCommandLine } = await import("./cli/command-line.ts");

// `signalbox logs ... | head -1`: the reader has what it wanted. Anything else that stops our output is worth a word.
// Bound to no processor: one of theirs may have written what fails here, and their code cannot end the process.
const onOutputError = AsyncLocalStorage.bind((error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`signalbox: cannot write to stdout: ${error.message}\n`);
  process.exit(1);
});
process.stdout.on("error", onOutputError);

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  env: process.env,
  isTty: process.stdout.isTTY,
  ...(earlySignals && { earlySignals }),
});
