/** The command line as a newcomer meets it. */
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { eventually, TestProcess } from "../support/processes.ts";
import { CapturingBackend, localEnv, recordsOf, repository, signalbox, startGateway, TestFolder } from "./peers.ts";

const byText = (a: string, b: string): number => a.localeCompare(b);

const LOCAL = join(repository, "collector/local.yaml");

describe("signalbox run", () => {
  test("says what it listens on, what to set in a worker, where the data lies and how to look at it", async () => {
    await using folder = await TestFolder.create();
    const { gateway } = await startGateway(LOCAL, localEnv(folder.path));
    await using running = gateway;
    for (const part of [
      "OTLP/gRPC",
      "OTLP/HTTP",
      "store API",
      "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:",
      folder.path,
      "job JOB_ID",
    ]) {
      expect(running.stdout).toContain(part);
    }
    expect(await running.stop("SIGTERM")).toBe(0);
  });

  test("names a busy port with what to do, and exits", async () => {
    await using folder = await TestFolder.create();
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const address = blocker.address();
    const port = typeof address === "object" && address !== null ? String(address.port) : "";
    await using gateway = signalbox(["run", "--config", LOCAL], { ...localEnv(folder.path), OTLP_GRPC_PORT: port });
    expect(await gateway.exit()).toBe(1);
    expect(gateway.stderr).toContain(`127.0.0.1:${port} is in use`);
    expect(gateway.stderr).toContain("protocols.grpc.endpoint");
    blocker.close();
  });

  test("answers a bad configuration with every problem, its place and the fix, and exit code 2", async () => {
    await using folder = await TestFolder.create();
    const path = await folder.write(
      "bad.yaml",
      `receivers:
  otlp: { protocols: { grpc: { endpont: "127.0.0.1:0" } } }
processors:
  memory_limiter: { check_interval: 10, limit_mib: 100 }
exporters:
  debug:
service:
  pipelines:
    traces: { receivers: [otlp], processors: [memory_limitr], exporters: [debug] }
`,
    );
    await using command = signalbox(["run", "--config", path]);
    expect(await command.exit()).toBe(2);
    expect(command.stdout).toBe("");
    const text = command.stderr;
    expect(text).toContain(`${path}:2:32  receivers.otlp.protocols.grpc.endpont`);
    expect(text).toContain('did you mean "endpoint"?');
    expect(text).toContain(`${path}:4:37  processors.memory_limiter.check_interval`);
    expect(text).toContain('references processor "memory_limitr" which is not configured');
    expect(text).toContain('found 10 (number), expected a duration string\n  write "10s"');
    expect(text).toContain(`${path}:9:47  service.pipelines.traces.processors[0]`);
    expect(text).toContain('did you mean "memory_limiter"?');
  });

  test("says which file is missing", async () => {
    await using command = signalbox(["run", "--config", "no-such.yaml"]);
    expect(await command.exit()).toBe(2);
    expect(command.stderr).toContain("no-such.yaml");
  });
});

describe("signalbox validate", () => {
  test.for(["local.yaml", "gateway.yaml", "compose.yaml"])("accepts collector/%s", async (name) => {
    await using command = signalbox(["validate", "--config", join(repository, "collector", name)], {
      DASH0_ENDPOINT: "127.0.0.1:4317",
      DASH0_AUTH_TOKEN: "auth_x",
    });
    expect(await command.exit(), command.stderr).toBe(0);
    expect(command.stdout + command.stderr).not.toContain("auth_x");
  });
});

describe("signalbox", () => {
  test("offers the nearest command", async () => {
    await using command = signalbox(["validte"]);
    expect(await command.exit()).toBe(2);
    expect(command.stderr).toContain('did you mean "validate"?');
  });
});

describe("signalbox logs", () => {
  test("ends quietly when its reader has enough", async () => {
    await using folder = await TestFolder.create();
    const { gateway, http, store } = await startGateway(LOCAL, localEnv(folder.path));
    await using running = gateway;
    const logRecords = Array.from({ length: 3000 }, (_, index) => ({
      body: { stringValue: `line ${index} ${"x".repeat(200)}` },
    }));
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
    await fetch(`${http}/v1/logs`, { method: "POST", headers: { "content-type": "application/json" }, body });
    const main = join(repository, "src/main.ts");
    const command = `"${process.execPath}" --conditions=signalbox-source "${main}" logs line --limit 3000 --json --url ${store} | head -c 100`;
    const read = async (): Promise<TestProcess> => {
      const piped = new TestProcess("sh", ["-c", command], { cwd: repository });
      await piped.exit();
      return piped;
    };
    const piped = await eventually(async () => {
      const tried = await read();
      return tried.stdout.length === 100 ? tried : undefined;
    }, "lines in the store");
    expect(piped.stderr).toBe("");
    await running.stop();
  });
});

describe("a stop while a backend is away", () => {
  test("takes the shutdown's patience, says what is lost, and exits 0", async () => {
    await using folder = await TestFolder.create();
    const config = await folder.write(
      "away.yaml",
      `
signalbox: { shutdown_timeout: 1s }
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters: { otlp_http: { endpoint: "http://127.0.0.1:1" } }
service: { telemetry: { metrics: { level: none } }, pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } } }
`,
    );
    const { gateway, http } = await startGateway(config);
    await using running = gateway;
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{}, {}] }] }] });
    const answer = await fetch(`${http}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(answer.status).toBe(200);
    expect(await running.stop()).toBe(0);
    expect(running.stderr).toContain("destination otlp_http: 2 log records not sent before the end of shutdown; lost");
    expect(running.stderr).toMatch(/exporters\.otlp_http logs: admitted 2, (queued|in_flight) 2/);
  });
});

describe("a gateway with a queue on disk", () => {
  test("that is killed delivers after its restart what it had accepted, once", async () => {
    await using folder = await TestFolder.create();
    await using backend = await CapturingBackend.start();
    const port = new URL(backend.url).port;
    const yaml = (endpoint: string): string => `
extensions: { file_storage: { directory: ${JSON.stringify(join(folder.path, "queue"))}, create_directory: true } }
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters:
  otlp_http: { endpoint: "${endpoint}", encoding: json, compression: none, sending_queue: { storage: file_storage } }
service:
  extensions: [file_storage]
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`;
    const away = await startGateway(await folder.write("away.yaml", yaml("http://127.0.0.1:1")));
    for (let index = 0; index < 20; index += 1) {
      const body = JSON.stringify({
        resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: `line ${index}` } }] }] }],
      });
      const answer = await fetch(`${away.http}/v1/logs`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      expect(answer.status).toBe(200);
    }
    await away.gateway.stop("SIGKILL");
    const back = await startGateway(await folder.write("back.yaml", yaml(`http://127.0.0.1:${port}`)));
    await using running = back.gateway;
    const bodies = (): string[] =>
      recordsOf(backend.requests, "logs").map(({ record }) => record.body?.stringValue ?? "");
    await eventually(async () => (bodies().length >= 20 ? true : undefined), "all lines at the backend");
    expect(await running.stop()).toBe(0);
    // Ten consumers send at once, so they arrive in any order.
    const expected = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    expect(bodies().toSorted(byText)).toEqual(expected.toSorted(byText));
  });
});
