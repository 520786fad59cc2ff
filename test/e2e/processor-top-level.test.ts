/** A processor's file that does not come back from its top level, at a start, in `validate`, and at a reload of the real process. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { signalbox, startGateway, TestFolder } from "./peers.ts";

const GOOD = `import { defineProcessor } from "signalbox/sdk";
export const stamp = defineProcessor({ type: "stamp", logs() {} });
`;

const LOOP = "for (;;) {}";
const ALLOCATING = "const all = []; for (;;) all.push(new Array(1000).fill(1));";
const BUFFERS = "const all = []; for (;;) all.push(Buffer.alloc(1_000_000, 1));";
const NEVER = "await new Promise(() => {});";

interface Stage {
  readonly config: string;
  readonly save: (code: string) => Promise<void>;
}

async function setUp(): Promise<Stage> {
  const folder = await TestFolder.create();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  await mkdir(join(folder.path, "processors"));
  const config = await folder.write(
    "gateway.yaml",
    `receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
processors: { stamp: }
exporters: { debug: }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], processors: [stamp], exporters: [debug] } }
signalbox: { processors: [processors], watch: false }
`,
  );
  return { config, save: (code) => writeFile(join(folder.path, "processors/stamp.ts"), `${code}\n${GOOD}`) };
}

async function outcome(command: string, code: string): Promise<{ code: number | null; said: string; tookMs: number }> {
  const { config, save } = await setUp();
  await save(code);
  const startMs = performance.now();
  await using process = signalbox([command, "--config", config]);
  const exitCode = await process.exit();
  return { code: exitCode, said: process.stderr, tookMs: performance.now() - startMs };
}

for (const command of ["run", "validate"]) {
  test(`${command} ends with the file's name where its top level never ends`, async () => {
    const { code, said } = await outcome(command, LOOP);
    expect(said).toMatch(
      /stamp\.ts:1:1\n {2}does not come back from its top level within 10 s.*\n {2}move long work into/,
    );
    expect(said.trimEnd().split("\n")).toHaveLength(3);
    expect(code).toBe(2);
  }, 30_000);

  test(`${command} ends well before the limit where a top level awaits what can never come`, async () => {
    const { code, said, tookMs } = await outcome(command, NEVER);
    expect(said).toMatch(/stamp\.ts:1:1\n {2}waits at its top level for what can never come/);
    expect(code).toBe(2);
    expect(tookMs).toBeLessThan(8_000);
  }, 30_000);

  test(`${command} ends with the file's name where a top level allocates without end`, async () => {
    const { code, said } = await outcome(command, BUFFERS);
    expect(said).toMatch(/stamp\.ts:1:1\n {2}takes more than 256 MiB at its top level/);
    expect(code).toBe(2);
  }, 30_000);
}

test("a loop that listens to nobody is named, and ended by the system", async () => {
  const { code, said } = await outcome("validate", ALLOCATING);
  expect(said).toMatch(/stamp\.ts:1:1\n {2}takes more than 256 MiB at its top level/);
  expect([2, null]).toContain(code);
}, 30_000);

test("a reload refuses a file that allocates without end, or awaits what can never come, and the gateway is unharmed", async () => {
  const { config, save } = await setUp();
  await save("");
  const { gateway, http } = await startGateway(config);
  await using _ = gateway;
  for (const [code, why] of [
    [ALLOCATING, /stamp\.ts.*takes more than 256 MiB at its top level/],
    [BUFFERS, /stamp\.ts.*takes more than 256 MiB at its top level/],
    [NEVER, /stamp\.ts.*waits at its top level for what can never come/],
  ] as const) {
    await save(code);
    const before = gateway.stderr.length;
    const startMs = performance.now();
    process.kill(gateway.pid, "SIGHUP");
    await gateway.until((_stdout, stderr) => stderr.slice(before).includes("reload refused"));
    expect(gateway.stderr.slice(before)).toMatch(why);
    expect(performance.now() - startMs).toBeLessThan(9_000);
    const headers = { "content-type": "application/json" };
    const { status } = await fetch(`${http}/v1/logs`, { method: "POST", headers, body: "{}" });
    expect(status).toBe(200);
  }
  expect(await gateway.stop()).toBe(0);
}, 60_000);
