/** Signals that reach the real process while its code still loads. */
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { TestProcess } from "../support/processes.ts";
import { repository, TestFolder } from "./peers.ts";

const CONFIG = `receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters: { debug: }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [debug] } }
signalbox: { watch: false }
`;

/** When Node comes to the first module behind main.ts. */
function atFirstModule(signal: NodeJS.Signals): string {
  return `import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    if (url.endsWith("/cli/command-line.ts")) process.kill(process.pid, ${JSON.stringify(signal)});
    return next(url, context);
  },
});
`;
}

/** When the embedded store starts the thread that writes, which is in the middle of the gateway's start. */
const AT_WRITER_THREAD = `import { syncBuiltinESMExports } from "node:module";
import threads from "node:worker_threads";
threads.Worker = class extends threads.Worker {
  constructor(url, options) {
    super(url, options);
    if (String(url).includes("writer-thread")) process.kill(process.pid, "SIGTERM");
  }
};
syncBuiltinESMExports();
`;

async function startInterrupted(code: string, command: string, text = CONFIG): Promise<TestProcess> {
  const folder = await TestFolder.create();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  const config = await folder.write("gateway.yaml", text.replace("STORE", join(folder.path, "store")));
  const preload = await folder.write("preload.mjs", code);
  const main = join(repository, "src/main.ts");
  const args = ["--conditions=signalbox-source", "--import", preload, main, command, "--config", config];
  const gateway = new TestProcess(process.execPath, args, { cwd: repository });
  onTestFinished(() => gateway[Symbol.asyncDispose]());
  return gateway;
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`a gateway that gets ${signal} before its code is loaded exits with 0`, async () => {
    const gateway = await startInterrupted(atFirstModule(signal), "run");
    expect(await gateway.exit()).toBe(0);
  }, 20_000);
}

test("a gateway that gets SIGHUP before its code is loaded starts, and reads its configuration again", async () => {
  const gateway = await startInterrupted(atFirstModule("SIGHUP"), "run");
  await gateway.until((_stdout, stderr) => stderr.includes("reload: nothing has changed"));
  expect(await gateway.stop()).toBe(0);
}, 20_000);

test("a gateway that gets SIGTERM while its components start starts no more of them, ends those it has, and exits with 0", async () => {
  const text = CONFIG.replace("debug: }", 'local_store: { directory: STORE, endpoint: "127.0.0.1:0" } }').replace(
    "[debug]",
    "[local_store]",
  );
  const gateway = await startInterrupted(AT_WRITER_THREAD, "run", text);
  expect(await gateway.exit()).toBe(0);
  expect(gateway.stdout).toBe("");
  expect(gateway.stderr).toContain("stopped before everything had started");
}, 20_000);

test("a command that is no gateway is ended by a signal as any other", async () => {
  const command = await startInterrupted(atFirstModule("SIGTERM"), "validate");
  expect(await command.exit()).toBeNull();
}, 20_000);
