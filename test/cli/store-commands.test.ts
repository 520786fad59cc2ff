import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { CliIo } from "../../src/cli/io.ts";
import { runJobCommand } from "../../src/cli/job.ts";
import { joinQuery, runLogsCommand } from "../../src/cli/logs.ts";
import { StoreClient } from "../../src/cli/store-client.ts";
import { parseStoreOptions } from "../../src/cli/store-options.ts";
import { runTraceCommand } from "../../src/cli/trace.ts";
import { ApiServer } from "../../src/store/api-server.ts";
import { Store } from "../../src/store/store.ts";
import { recordingLogger } from "../exporters/test-exporter.ts";
import { TestClock } from "../support/test-clock.ts";
import { FAILED_LOGS, FAILED_SPANS, JOB_LOGS, JOB_SPANS } from "../store/job-fixtures.ts";
import {
  closeWriter,
  logsRequest,
  NOON_MS,
  openWriter,
  spansRequest,
  testFolder,
  testLimits,
  TRACE_A,
} from "../store/store-fixtures.ts";
import type { TestLog, TestSpan } from "../store/store-fixtures.ts";

type Command = (args: readonly string[], io: CliIo) => Promise<number>;

interface Ran {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  command: Command,
  args: readonly string[],
  env: Record<string, string> = {},
  isTty = false,
): Promise<Ran> {
  let [out, err] = ["", ""];
  const io: CliIo = { stdout: (text) => void (out += text), stderr: (text) => void (err += text), env, isTty };
  const exitCode = await command(args, io);
  return { exitCode, out, err };
}

/** A folder as a gateway leaves it. */
function folderOf(spans: readonly TestSpan[], logs: readonly TestLog[]): string {
  const limits = testLimits();
  const writer = openWriter(limits);
  if (spans.length > 0) writer.append("traces", spansRequest(spans), NOON_MS);
  if (logs.length > 0) writer.append("logs", logsRequest(logs), NOON_MS);
  closeWriter(writer);
  return limits.directory;
}

async function gatewayOf(logs: readonly TestLog[], token?: string): Promise<string> {
  const { directory, bytesMax, ageMsMax } = testLimits();
  const store = await Store.open({
    directory,
    bytesMax,
    ageMsMax,
    clock: new TestClock(NOON_MS),
    logger: recordingLogger(),
  });
  const bytes = logsRequest(logs);
  await store.append("logs", { slices: [bytes], size: bytes.length, itemCount: logs.length });
  const api = new ApiServer({
    endpoint: { host: "127.0.0.1", port: 0 },
    owner: "x",
    token,
    ask: (path, search) => store.ask(path, search),
  });
  const { port } = await api.listen();
  onTestFinished(async () => {
    await api.close();
    await store.close();
  });
  return `http://127.0.0.1:${port}`;
}

function golden(name: string): string {
  return readFileSync(join(import.meta.dirname, "golden", name), "utf8");
}

describe("signalbox job", () => {
  test.each([
    ["job-failed.txt", FAILED_SPANS, FAILED_LOGS],
    ["job-retried.txt", JOB_SPANS, JOB_LOGS],
    ["job-lines-only.txt", [], FAILED_LOGS],
  ])("prints %s", async (name, spans, logs) => {
    const { exitCode, out } = await run(runJobCommand, ["job-abc123", "--data", folderOf(spans, logs)]);
    expect(out).toBe(golden(name));
    expect(exitCode).toBe(0);
    for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
  });

  test("prints the story as JSON", async () => {
    const { out } = await run(runJobCommand, ["job-abc123", "--json", "--data", folderOf(FAILED_SPANS, FAILED_LOGS)]);
    expect(JSON.parse(out)).toMatchObject({ job_id: "job-abc123", outcome: "failed" });
  });

  test("of a job that nothing names ends with 1, saying how far back the store goes", async () => {
    const { exitCode, out, err } = await run(runJobCommand, ["job-none", "--data", folderOf([], FAILED_LOGS)]);
    expect(exitCode).toBe(1);
    expect(out).toBe("");
    expect(err).toContain("no record names job job-none\n  the store goes back to 2026-11-24T12:00:00.500Z");
  });
});

describe("signalbox logs", () => {
  test("prints what matches, the latest last", async () => {
    const { exitCode, out } = await run(runLogsCommand, ["job_id:job-abc123", "--data", folderOf([], FAILED_LOGS)]);
    expect(exitCode).toBe(0);
    expect(out).toBe(golden("logs.txt"));
  });

  test("prints the standard record, one JSON a line", async () => {
    const { out } = await run(runLogsCommand, ["level:error", "--json", "--data", folderOf([], FAILED_LOGS)]);
    const records = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(records).toHaveLength(2);
    expect(records[1]).toMatchObject({
      timestamp: "2026-11-24T12:00:13.400Z",
      level: "error",
      message: "CUDA out of memory. Tried to allocate 2.20 GiB\n  at sample (sampler.py:81)",
      machine_id: "railway-abc123",
      worker_id: "worker-001",
      service_type: "comfyui",
      job_id: "job-abc123",
      trace_id: TRACE_A,
    });
  });

  test("takes the newest up to the limit over many pages, and says that there are more", async () => {
    const logs = Array.from({ length: 2_500 }, (_, index) => ({ body: `line ${index}`, atMs: NOON_MS + index }));
    const { out, err } = await run(runLogsCommand, ["--limit", "2100", "--data", folderOf([], logs)]);
    const lines = out.trimEnd().split("\n").slice(1);
    expect(lines).toHaveLength(2_100);
    expect(lines[0]).toContain("line 400");
    expect(lines.at(-1)).toContain("line 2499");
    expect(err).toContain("there are more; these are the newest 2100");
  });

  test("--since and --until take spans and times", async () => {
    const data = folderOf(
      [],
      [
        { body: "in", atMs: NOON_MS },
        { body: "before", atMs: NOON_MS - 60_000 },
      ],
    );
    const range = ["--since", "2026-11-24T12:00:00Z", "--until", "2026-11-24T13:00:00Z"];
    expect((await run(runLogsCommand, [...range, "--data", data])).out).toContain("in");
    expect((await run(runLogsCommand, [...range, "--data", data])).out).not.toContain("before");
    expect((await run(runLogsCommand, ["--since", "100000h", "--data", data])).exitCode).toBe(2);
  });

  test("a query that is wrong ends with 2 and a caret", async () => {
    const { exitCode, out, err } = await run(runLogsCommand, [
      "service_type:comfyui",
      "level:eror",
      "--data",
      folderOf([], []),
    ]);
    expect(exitCode).toBe(2);
    expect(out).toBe("");
    expect(err).toContain(
      '  service_type:comfyui level:eror\n                             ^^^^\n"eror" is no level\n  did you mean error?\n',
    );
  });

  test("nothing found for a key that no record has says so, with the nearest", async () => {
    const { exitCode, err } = await run(runLogsCommand, ["levle:error", "--data", folderOf([], FAILED_LOGS)]);
    expect(exitCode).toBe(1);
    expect(err).toContain("no log records match\n  no record has an attribute levle; did you mean level?\n");
  });

  test("a value with blanks after = keeps its quotes", () => {
    expect(joinQuery(["machine_id=a b", "steps=20 of 30"])).toBe('machine_id="a b" "steps=20 of 30"');
  });

  test("nothing found ends with 1", async () => {
    const { exitCode, err } = await run(runLogsCommand, ["nosuchword", "--data", folderOf([], FAILED_LOGS)]);
    expect([exitCode, err.includes("no log records match")]).toEqual([1, true]);
  });

  test.each([
    [["level:error", "model load failed"], 'level:error "model load failed"'],
    [["level:error", "step:load model"], 'level:error step:"load model"'],
    [['level:error "model load failed"'], 'level:error "model load failed"'],
    [["model load failed"], "model load failed"],
    [["a", '"b c"'], 'a "b c"'],
    [["a", "b\\n c"], 'a "b\\\\n c"'],
    [[], ""],
  ])("joins the shell's words %j to %s", (words, query) => {
    expect(joinQuery(words)).toBe(query);
  });

  test.each([["--foo"], ["--limit", "many"], ["--limit", "0"], ["--limit"]])(
    "%s %s is a usage error that shows the usage",
    async (...args) => {
      const { exitCode, err } = await run(runLogsCommand, args);
      expect(exitCode).toBe(2);
      expect(err).toContain("signalbox logs QUERY");
    },
  );
});

describe("signalbox trace", () => {
  test("prints the tree and the lines", async () => {
    const { exitCode, out } = await run(runTraceCommand, [TRACE_A, "--data", folderOf(JOB_SPANS, JOB_LOGS)]);
    expect(exitCode).toBe(0);
    expect(out).toBe(golden("trace.txt"));
  });

  test("prints OTLP JSON", async () => {
    const { out } = await run(runTraceCommand, [TRACE_A, "--json", "--data", folderOf(JOB_SPANS, [])]);
    expect(Object.keys(JSON.parse(out) as object)).toEqual(["resourceSpans"]);
  });

  test("needs one id", async () => {
    expect((await run(runTraceCommand, [])).exitCode).toBe(2);
    expect((await run(runTraceCommand, ["a", "b"])).exitCode).toBe(2);
    expect((await run(runTraceCommand, ["xyz", "--data", folderOf([], FAILED_LOGS)])).exitCode).toBe(2);
  });
});

// All that drives a terminal or hides text, except the line ends that the command writes itself.
const ACTING_RANGES = [
  "\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f",
  "\\u202a-\\u202e\\u2028\\u2029",
  "\\u{e0000}-\\u{e007f}",
];
const ACTING = new RegExp(`[${ACTING_RANGES.join("")}]`, "u");

describe("hostile records", () => {
  const hostile = "\u001b]0;owned\u0007\u001b[2J\u009b31m\u202egnp.exe\u202c\r\nFake: line\u2028next\ttab \u{e0041}";

  test.each<[string, Command, readonly string[]]>([
    ["logs", runLogsCommand, []],
    ["logs --full", runLogsCommand, ["--full"]],
    ["logs --json", runLogsCommand, ["--json"]],
    ["job", runJobCommand, ["job-abc123"]],
    ["job --json", runJobCommand, ["job-abc123", "--json"]],
    ["trace", runTraceCommand, [TRACE_A]],
    ["trace --json", runTraceCommand, [TRACE_A, "--json"]],
  ])("%s shows them without letting them act", async (_name, command, args) => {
    const resource = { "machine.id": hostile, "worker.id": hostile, "service.type": hostile };
    const attributes = { "job.id": "job-abc123", [hostile]: hostile };
    const span: TestSpan = {
      name: hostile,
      traceId: TRACE_A,
      spanId: "0000000000000001",
      atMs: NOON_MS,
      endMs: NOON_MS,
      status: 2,
      statusMessage: hostile,
      resource,
      attributes,
    };
    const data = folderOf([span], [{ body: hostile, level: 17, resource, attributes, traceId: TRACE_A }]);
    for (const isTty of [false, true]) {
      const { exitCode, out } = await run(command, [...args, "--data", data], { NO_COLOR: "1" }, isTty);
      expect(exitCode).toBe(0);
      expect(out.match(ACTING)).toBeNull();
      expect(args.includes("--json") || !/^Fake: line/m.test(out)).toBe(true);
    }
  });

  test("JSON keeps their value", async () => {
    const { out } = await run(runLogsCommand, ["--json", "--data", folderOf([], [{ body: hostile }])]);
    expect(JSON.parse(out)).toMatchObject({ message: hostile });
  });

  test("a long body is cut with a mark, and whole when asked for", async () => {
    const data = folderOf([], [{ body: "x".repeat(5_000) }]);
    expect((await run(runLogsCommand, ["--data", data])).out.split("\n")[1]).toMatch(/^.{99}…$/);
    expect((await run(runLogsCommand, ["--full", "--data", data])).out).toContain("x".repeat(5_000));
  });
});

describe("colours", () => {
  test.each<[boolean, Record<string, string>, boolean]>([
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: "1" }, false],
    [true, { NO_COLOR: "" }, true],
    [true, { TERM: "dumb" }, false],
  ])("a terminal %s with %j gets them: %s", async (isTty, env, isColoured) => {
    const { out } = await run(runLogsCommand, ["level:error", "--data", folderOf([], FAILED_LOGS)], env, isTty);
    expect(out.includes("\u001b[31m")).toBe(isColoured);
  });
});

describe("where the store is asked", () => {
  test("the running gateway answers, with the token of the environment", async () => {
    const url = await gatewayOf([{ body: "from the gateway" }], "s3cret");
    const found = await run(runLogsCommand, ["--url", url], { SIGNALBOX_TOKEN: "s3cret" });
    expect(found.out).toContain("from the gateway");
    expect(found.err).toBe("");
    const refused = await run(runLogsCommand, [], { SIGNALBOX_URL: url });
    expect(refused.exitCode).toBe(1);
    expect(refused.err).toContain("set SIGNALBOX_TOKEN");
  });

  test("a bad query is told with its caret by the gateway too", async () => {
    const { exitCode, err } = await run(runLogsCommand, ["level:eror", "--url", await gatewayOf([{ body: "x" }])]);
    expect(exitCode).toBe(2);
    expect(err).toContain("  level:eror\n        ^^^^\n");
  });

  test("an address given where nothing listens is not replaced by a folder", async () => {
    const { exitCode, err } = await run(runLogsCommand, ["--url", "http://127.0.0.1:1"]);
    expect(exitCode).toBe(1);
    expect(err).toContain("nothing answers at http://127.0.0.1:1");
  });

  test("where nothing listens at the default address the folder is read, and that is said", async () => {
    const data = folderOf([], FAILED_LOGS);
    let err = "";
    const io: CliIo = {
      stdout: () => undefined,
      stderr: (text) => void (err += text),
      env: { SIGNALBOX_DATA: data },
      isTty: false,
    };
    const client = new StoreClient(parseStoreOptions([], [], io), io, "http://127.0.0.1:1");
    onTestFinished(() => client.close());
    expect(await client.ask("/api/logs")).toMatchObject({ records: { length: FAILED_LOGS.length } });
    await client.ask("/api/logs");
    expect(err).toBe(`no gateway listens at http://127.0.0.1:1: reading the folder ${data}\n`);
  });

  test("a folder that is not there ends with 1 and what to do", async () => {
    const { exitCode, err } = await run(runLogsCommand, ["--data", `${testFolder()}/none`]);
    expect(exitCode).toBe(1);
    expect(err).toContain("signalbox run");
  });

  test("an address and a folder together are a usage error", async () => {
    expect((await run(runLogsCommand, ["--data", "x", "--url", "http://127.0.0.1:1"])).exitCode).toBe(2);
  });

  test("something else that listens there is not taken for the store", async () => {
    const server = createServer((_request, response) => response.end("<html>"));
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const { exitCode, err } = await run(runLogsCommand, ["--url", `http://127.0.0.1:${port}`]);
    expect(exitCode).toBe(1);
    expect(err).toContain("something else listens there");
  });
});
