/**
 * The command line. Everything that starts, reads the environment or ends the process begins here; the rest of the
 * code is given what it needs.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { enableCompileCache } from "node:module";
import { systemClock } from "./core/clock.ts";
import { boundYoungGeneration } from "./core/young-generation.ts";
import { EarlySignals } from "./cli/early-signals.ts";
import { GatewayOutputs } from "./cli/gateway-outputs.ts";

const isGateway = process.argv[2] === "run";

// Before anything else: until then a signal ends the process as if it had crashed.
const earlySignals = isGateway ? new EarlySignals() : undefined;

// Before anything else is loaded: what that makes survives, and would have V8 grow it.
boundYoungGeneration(systemClock);

// Type stripping costs 300 ms for our sources at each start; the cache brings the second one to a third.
enableCompileCache();

// After the cache is on, or these modules would be compiled without it.
const { runCommandLine } = await import("./cli/command-line.ts");

/** What a reader may take to read the end of the log. Most have it at once; one that is stuck must not keep the process. */
const FLUSH_MS = 1000;

const outputs = isGateway ? new GatewayOutputs(process.stdout, process.stderr) : undefined;
if (outputs === undefined) endWithReader();

process.exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: (text) => void (outputs?.stdout ?? process.stdout).write(text),
  stderr: (text) => void (outputs?.stderr ?? process.stderr).write(text),
  env: process.env,
  isTty: process.stdout.isTTY,
  ...(earlySignals && { earlySignals }),
  ...(outputs && { outputs }),
});
// Node itself would wait without end for a pipe that nobody reads.
if (outputs !== undefined && !(await outputs.flush(systemClock, FLUSH_MS))) process.exit();

/** A command ends when nobody reads what it prints. */
function endWithReader(): void {
  // `signalbox logs ... | head -1`: the reader has what it wanted. Anything else that stops our output is worth a word.
  // Bound to no processor: one of theirs may have written what fails here, and their code cannot end the process.
  const onOutputError = AsyncLocalStorage.bind((error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    process.stderr.write(`signalbox: cannot write to stdout: ${error.message}\n`);
    process.exit(1);
  });
  process.stdout.on("error", onOutputError);
  // There is nobody left to tell, and the exit code still says how it went.
  process.stderr.on("error", () => undefined);
}
