import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const FILE = fileURLToPath(new URL("../testdata/contract/ticking.node-test.ts", import.meta.url));

test("under Node's own test runner a timer that is left fails one check, whose run ends nevertheless", () => {
  const args = ["--conditions=signalbox-source", "--test", "--test-reporter=tap", FILE];
  // Node tells a test that it runs inside of another, and it would report to that one.
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: "utf8", timeout: 60_000 });
  const failed = stdout.split("\n").filter((line) => /^\s*not ok /.test(line));
  expect(failed).toEqual([
    expect.stringMatching(/leaky is shut down twice, and leaves no timer, connection, file, process or thread behind/),
  ]);
  expect(stdout).toMatch(/timers left; clear them in shutdown\(\): a timer, begun at .*ticking\.node-test\.ts/);
  expect(stdout).toMatch(/^# pass [1-9]\d/m);
  expect(status).toBe(1);
});
