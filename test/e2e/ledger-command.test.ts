import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { LedgerReport } from "../../src/service/ledger-report.ts";
import { freePort } from "../support/processes.ts";
import { grpcDoor, numberedRequest } from "./numbered-load.ts";
import { signalbox, startGateway as start, TestFolder } from "./peers.ts";

async function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  await using command = signalbox(args);
  return { code: await command.exit(), stdout: command.stdout, stderr: command.stderr };
}

async function gatewayFolder(): Promise<{ folder: TestFolder; config: string; queue: string }> {
  const folder = await TestFolder.create();
  const queue = join(folder.path, "queue");
  const config = await folder.write(
    "gateway.yaml",
    `
extensions: { file_storage: { directory: "${queue}", create_directory: true } }
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:0" } } } }
exporters:
  otlp_grpc:
    endpoint: "127.0.0.1:${await freePort()}"
    tls: { insecure: true }
    sending_queue: { storage: file_storage, queue_size: 1000, sizer: items }
service:
  extensions: [file_storage]
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_grpc] } }
`,
  );
  return { folder, config, queue };
}

describe("signalbox ledger", () => {
  it("shows the same of a running gateway, of one that was killed, and of the next", async () => {
    const { folder, config, queue } = await gatewayFolder();
    await using _ = folder;
    const first = await startGateway(config);
    const door = grpcDoor(first.grpc, 3000);
    expect(await door.send(numberedRequest(0, 100))).toBe("ok");
    expect(await door.send(numberedRequest(100, 50))).toBe("ok");
    door.close();

    const running = await run(["ledger", "--config", config]);
    expect(running).toMatchObject({ code: 0, stderr: "" });
    expect(running.stdout).toBe(`the ledger of process ${first.gateway.pid}, in items, over all runs with ${queue}

receivers       received  accepted
otlp grpc logs       150       150

pipelines  incoming  admitted
logs            150       150

exporters       admitted  in_flight
otlp_grpc logs       150        150

every equation holds
`);
    await first.gateway.stop("SIGKILL");

    const files = listing(queue);
    const killed = await run(["ledger", "--storage", queue, "--json"]);
    expect(killed).toMatchObject({ code: 0, stderr: "" });
    const report = JSON.parse(killed.stdout) as LedgerReport;
    expect(report).not.toHaveProperty("run");
    expect(report).toMatchObject({
      ever: {
        receivers: [{ receiver: "otlp", received: 150, accepted: 150, refused: 0, failed: 0 }],
        pipelines: [{ pipeline: "logs", incoming: 150, admitted: 150 }],
        destinations: [{ destination: "otlp_grpc", admitted: 150, sent: 0, queued: 150, in_flight: 0 }],
      },
      imbalances: [],
    });
    expect(listing(queue)).toEqual(files);

    const { gateway } = await startGateway(config);
    const next = JSON.parse((await run(["ledger", "--config", config, "--json"])).stdout) as LedgerReport;
    expect(next).toMatchObject({
      pid: gateway.pid,
      run: { receivers: [{ received: 0 }], destinations: [{ carried_over: 150, admitted: 0, in_flight: 150 }] },
      ever: { receivers: [{ received: 150 }], destinations: [{ carried_over: 0, admitted: 150, in_flight: 150 }] },
      imbalances: [],
    });
    expect((await run(["ledger", "--config", config, "--run"])).stdout).toContain("in items, since it started");
    await gateway.stop("SIGKILL");
  }, 60_000);

  it("and its siblings do not wait for ever for a gateway whose process was stopped", async () => {
    const { folder, config, queue } = await gatewayFolder();
    await using _ = folder;
    const { gateway } = await startGateway(config);
    process.kill(gateway.pid, "SIGSTOP");
    const questions = [["ledger"], ["deadletters", "list"], ["deadletters", "replay"], ["queues", "list"]];
    const runs = await Promise.all(questions.map((question) => run([...question, "--storage", queue])));
    for (const { code, stderr } of runs) {
      expect(code).toBe(1);
      expect(stderr).toMatch(/cannot be asked at .*admin\.sock: no answer within 5 s\n {2}is its process stopped/);
    }
  }, 30_000);

  it("says what to do where there is no storage, no folder and no gateway", async () => {
    await using folder = await TestFolder.create();
    const config = await folder.write(
      "memory.yaml",
      "receivers: { otlp: { protocols: { grpc: } } }\nexporters: { debug: }\nservice: { pipelines: { logs: { receivers: [otlp], exporters: [debug] } } }\n",
    );
    const memory = await run(["ledger", "--config", config]);
    expect(memory.code).toBe(2);
    expect(memory.stderr).toContain("the queues of this configuration lie in memory");
    const missing = await run(["ledger", "--storage", join(folder.path, "nowhere")]);
    expect(missing).toMatchObject({ code: 1, stdout: "" });
    expect(missing.stderr).toContain("nowhere does not exist");
    const empty = await run(["ledger", "--storage", folder.path, "--run"]);
    expect(empty).toMatchObject({ code: 1, stdout: "" });
    expect(empty.stderr).toContain("no gateway runs");
    expect((await run(["ledger", "--storage", folder.path])).stdout).toContain("nothing came in");
  }, 30_000);
});

/** Names and sizes: looking must change nothing. */
function listing(folder: string): string[] {
  return readdirSync(folder).map((name) => `${name} ${statSync(join(folder, name)).size}`);
}

/** A gateway that does not outlive its test, however that ends. */
async function startGateway(config: string): ReturnType<typeof start> {
  const started = await start(config);
  onTestFinished(() => started.gateway[Symbol.asyncDispose]());
  return started;
}
