/** Reloads of a processor's file that never comes back, in the real process. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually, type TestProcess } from "../support/processes.ts";
import { startGateway, TestFolder } from "./peers.ts";

const GOOD = `import { defineProcessor } from "signalbox/sdk";
export const stamp = defineProcessor({ type: "stamp", logs() {} });
`;

const JSON_BODY = { "content-type": "application/json" };

interface Stage extends AsyncDisposable {
  readonly gateway: TestProcess;
  readonly http: string;
  /** Saves the processor with `code` at its top level. */
  save(code: string): Promise<void>;
  /** A file that the code may write. */
  readonly mark: string;
}

async function setUp(): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await TestFolder.create());
  await mkdir(join(folder.path, "processors"));
  const save = async (code: string): Promise<void> => {
    await writeFile(join(folder.path, "processors/stamp.ts"), `${code}\n${GOOD}`);
  };
  await save("");
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
  const { gateway, http } = await startGateway(config);
  stack.use(gateway);
  return { gateway, http, save, mark: join(folder.path, "mark"), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("a gateway that is told to stop stops, whatever its reloads wait for, and says nothing of them any more", async () => {
  await using stage = await setUp();
  const { gateway, mark } = stage;
  await stage.save(
    `import { writeFileSync } from "node:fs";\nwriteFileSync(${JSON.stringify(mark)}, "");\nsetInterval(() => {}, 1_000);\nawait new Promise(() => {});`,
  );
  process.kill(gateway.pid, "SIGHUP");
  await eventually(() => Promise.resolve(existsSync(mark) || undefined), "the file runs");
  process.kill(gateway.pid, "SIGHUP");
  const startMs = performance.now();
  expect(await gateway.stop()).toBe(0);
  expect(performance.now() - startMs).toBeLessThan(5_000);
  expect(gateway.stderr).not.toContain("reload");
}, 60_000);

test("a saved processor whose top level never ends is refused, and the gateway goes on meanwhile", async () => {
  await using stage = await setUp();
  const { gateway, mark } = stage;
  await stage.save(
    `import { writeFileSync } from "node:fs";\nwriteFileSync(${JSON.stringify(mark)}, "");\nwhile (true) {}`,
  );
  process.kill(gateway.pid, "SIGHUP");
  await eventually(() => Promise.resolve(existsSync(mark) || undefined), "the file runs");
  const { status } = await fetch(`${stage.http}/v1/logs`, { method: "POST", headers: JSON_BODY, body: "{}" });
  expect(status).toBe(200);
  await gateway.until((_stdout, stderr) => /stamp\.ts.*does not come back from its top level/.test(stderr));
  await gateway.until((_stdout, stderr) => stderr.includes("reload refused"));
  await stage.save("");
  process.kill(gateway.pid, "SIGHUP");
  await gateway.until((_stdout, stderr) => /reload: (nothing has changed|1 change is in force)/.test(stderr));
  expect(await gateway.stop()).toBe(0);
}, 60_000);
