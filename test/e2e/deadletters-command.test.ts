import { once } from "node:events";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../support/processes.ts";
import type { TestProcess } from "../support/processes.ts";
import { signalbox, startGateway, TestFolder } from "./peers.ts";

let folder: TestFolder;
let server: Server;
/** What the backend answers. */
let status = 400;
let arrived = 0;

beforeAll(async () => {
  folder = await TestFolder.create();
  server = createServer((request, response) => {
    request.resume().on("end", () => {
      if (status === 200) arrived += 1;
      response.writeHead(status, { "content-type": "text/plain" }).end(status === 200 ? undefined : "no such dataset");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await folder.write(
    "gateway.yaml",
    `
extensions: { file_storage: { directory: "${folder.path}/queue", create_directory: true } }
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:${port}", compression: none, sending_queue: { storage: file_storage } }
service:
  extensions: [file_storage]
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`,
  );
});

afterAll(async () => {
  server.close();
  await folder[Symbol.asyncDispose]();
});

function start(): ReturnType<typeof startGateway> {
  return startGateway(`${folder.path}/gateway.yaml`);
}

async function send(http: string, jobId: string): Promise<void> {
  const attributes = [{ key: "job_id", value: { stringValue: jobId } }];
  const logRecords = [{ body: { stringValue: `of ${jobId}` }, attributes }];
  const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  const answer = await fetch(`${http}/v1/logs`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  expect(answer.status).toBe(200);
}

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function deadLetters(...args: string[]): Promise<Run> {
  await using command: TestProcess = signalbox(["deadletters", ...args, "--config", `${folder.path}/gateway.yaml`]);
  const code = await command.exit();
  return { code, stdout: command.stdout, stderr: command.stderr };
}

function linesOf({ stdout }: Run): string[] {
  return stdout.split("\n").filter((line) => line !== "");
}

describe("signalbox deadletters", () => {
  it("asks a running gateway, reads the folder of a stopped one, and what it replays arrives once", async () => {
    const first = await start();
    expect((await deadLetters("list")).stderr).toContain("no dead letters");
    for (const job of ["job-1", "job-2", "job-3"]) await send(first.http, job);
    const listed = await eventually(async () => {
      const run = await deadLetters("list");
      return linesOf(run).length === 4 ? run : undefined;
    }, "three dead letters");
    expect(listed.stdout).toMatch(/ID +TIME +DESTINATION/);
    expect(listed.stdout).toMatch(/otlp_http +logs +1 .* rejected +1 +.*no such dataset/);

    const exported = linesOf(await deadLetters("export", "--filter", "job=job-2")).map((line) => JSON.parse(line));
    expect(exported).toMatchObject([
      {
        resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "of job-2" } }] }] }],
        signalbox: { destination: "otlp_http", reason: "rejected", attempts: 1, items: 1, signal: "logs" },
      },
    ]);
    const { id } = (exported[0] as { signalbox: { id: string } }).signalbox;
    const shown = await deadLetters("show", id);
    expect(JSON.parse(shown.stdout)).toEqual(exported[0]);
    expect((await deadLetters("show", "99.9")).code).toBe(1);
    const wrong = await deadLetters("list", "--filter", "destnation=x");
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("did you mean destination?")]);

    status = 200;
    const replayed = await deadLetters("replay", "--filter", "job=job-2");
    expect(replayed.stdout).toBe("1 dead letters with 1 items are queued again\n");
    await eventually(async () => (arrived === 1 ? true : undefined), "job-2 has arrived");
    expect(await first.gateway.stop()).toBe(0);

    expect(linesOf(await deadLetters("list"))).toHaveLength(3);
    expect((await deadLetters("show", id)).code).toBe(1);
    const offline = await deadLetters("replay", "--filter", "job=job-3");
    expect(offline.stdout).toBe("1 dead letters with 1 items are queued again\n");
    expect((await deadLetters("replay", "--filter", "job=job-3")).stdout).toContain("0 dead letters");
    const second = await start();
    await eventually(async () => (arrived === 2 ? true : undefined), "job-3 has arrived");
    expect(linesOf(await deadLetters("list"))).toHaveLength(2);
    expect(await deadLetters("drop")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("drop needs a filter"),
    });
    expect((await deadLetters("drop", "--filter", "until=0s")).stdout).toBe("1 dead letters with 1 items are gone\n");
    await second.gateway.stop();
    expect((await deadLetters("list")).stderr).toContain("no dead letters");
    await using ledger = signalbox(["ledger", "--storage", `${folder.path}/queue`]);
    expect(await ledger.exit()).toBe(0);
    expect(ledger.stdout).toMatch(/admitted +replayed +sent +dead_lettered\notlp_http logs +3 +2 +2 +3\n/);
    expect(ledger.stdout).toMatch(/dead_letters +added +replayed( +dropped)?( +kept)?\notlp_http logs +3 +2/);
    expect(arrived).toBe(2);
  }, 120_000);

  it("says what is wrong with its folder, its action, and queues in memory", async () => {
    const nowhere = signalbox(["deadletters", "list", "--storage", `${folder.path}/nowhere`]);
    expect(await nowhere.exit()).toBe(1);
    expect(nowhere.stderr).toContain("there is no queue in the folder");
    const typo = signalbox(["deadletters", "lst"]);
    expect(await typo.exit()).toBe(2);
    expect(typo.stderr).toContain("did you mean list?");
    const memory = signalbox(["deadletters", "list"]);
    expect(await memory.exit()).toBe(2);
    expect(memory.stderr).toContain("lie in memory");
  }, 60_000);
});
