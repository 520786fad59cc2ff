/** Receivers that are replaced again and again while real clients send over gRPC and HTTP: nobody's request fails. */
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { findPython, PEER_HINT } from "../peers/find.ts";
import { eventually, freePort, TestProcess } from "../support/processes.ts";
import { SLOW_TESTS } from "../support/slow-tests.ts";
import { NO_OPENSSL, TestCa } from "../support/test-ca.ts";
import type { KeyPair } from "../support/test-ca.ts";
import { CountingBackend, type Door, grpcDoor, httpDoor, NumberedLoad, watched } from "./numbered-load.ts";
import { repository, startGateway, TestFolder } from "./peers.ts";

/** What refused one call in a thousand of those under way did so once in about eight reloads. */
const RELOADS = SLOW_TESTS ? 30 : 10;

interface Receiver {
  readonly folder: TestFolder;
  readonly backend: CountingBackend;
  readonly grpc: number;
  readonly http: number;
  readonly engine: string;
  readonly pair: KeyPair | undefined;
}

/** `version` changes the settings of both doors. */
async function save({ folder, backend, grpc, http, engine, pair }: Receiver, version: number): Promise<string> {
  const tls = pair === undefined ? "" : `, tls: { cert_file: "${pair.certFile}", key_file: "${pair.keyFile}" }`;
  const text = `
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "127.0.0.1:${grpc}", engine: ${engine}, max_concurrent_streams: ${100 + version}${tls} }
      http: { endpoint: "127.0.0.1:${http}", max_request_body_size: ${1_000_000 + version} }
exporters: { otlp_http: { endpoint: "${backend.url}", compression: none } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`;
  const path = join(folder.path, "gateway.yaml");
  await rename(await folder.write("draft", text), path);
  return path;
}

async function reloadAgainAndAgain(gateway: TestProcess, change: (version: number) => Promise<unknown>): Promise<void> {
  for (let version = 1; version <= RELOADS; version++) {
    await change(version);
    process.kill(gateway.pid, "SIGHUP");
    const inForce = (stderr: string): number => stderr.match(/reload: \d+ changes? (?:is|are) in force/g)?.length ?? 0;
    await gateway.until((_stdout, stderr) => inForce(stderr) >= version);
    // So that clients have come over, and the next change meets some that only just have.
    await sleep(20 + ((version * 67) % 280));
  }
}

function pythonCalls(python: string, { grpc, pair }: Receiver, caFile: string, lanes: number): TestProcess {
  const host = pair === undefined ? "127.0.0.1" : "localhost";
  const ca = pair === undefined ? [] : [caFile];
  const script = join(repository, "test/e2e/reload_calls.py");
  return new TestProcess(python, [script, `${host}:${grpc}`, "6", String(lanes), ...ca]);
}

async function answersOf(calls: TestProcess): Promise<Record<string, number>> {
  expect(await calls.stop(), calls.stderr).toBe(0);
  return JSON.parse(calls.stdout.split("\n")[1]!) as Record<string, number>;
}

/** Each its own connection, on which three requests are under way at a time. */
function nodeClients({ grpc, http, pair }: Receiver): Door[] {
  const address = `127.0.0.1:${grpc}`;
  const overGrpc = pair === undefined ? [grpcDoor(address, 10_000), grpcDoor(address, 10_000)] : [];
  return [...overGrpc, httpDoor(`http://127.0.0.1:${http}`, 10_000)];
}

const WAYS = [
  { engine: "http2", how: "in plain text", lanes: 3 },
  { engine: "grpc_js", how: "in plain text", lanes: 3 },
  { engine: "http2", how: "with TLS", lanes: 1 },
];

describe("a receiver whose settings change under load", () => {
  test.for(WAYS)(
    "fails no call of grpcio, of grpc-js or over HTTP: $engine, $how",
    { timeout: 120_000 },
    async ({ engine, how, lanes }, { skip }) => {
      const python = findPython();
      skip(python === undefined, `grpcio is not here: ${PEER_HINT}`);
      skip(how === "with TLS" && NO_OPENSSL !== undefined, NO_OPENSSL);
      await using folder = await TestFolder.create();
      await using backend = await CountingBackend.listen();
      const ca = how === "with TLS" ? new TestCa(folder.path) : undefined;
      const pair = ca?.issue("server", "DNS:localhost,IP:127.0.0.1");
      const receiver = { folder, backend, grpc: await freePort(), http: await freePort(), engine, pair };
      const { gateway } = await startGateway(await save(receiver, 0));
      await using running = gateway;

      await using calls = pythonCalls(python!, receiver, ca?.pair.certFile ?? "", lanes);
      await calls.until((stdout) => stdout.includes("calling"));
      const failures: string[] = [];
      const doors = nodeClients(receiver).map((door) => watched(door, failures));
      const load = new NumberedLoad({ doors, lanes: 3, recordsPerRequest: 1, pauseMs: 3 });
      await reloadAgainAndAgain(running, (version) => save(receiver, version));
      await load.stop();
      const answers = await answersOf(calls);
      await eventually(async () => backend.counts.size >= load.acknowledgedItems || undefined, "all have arrived");
      for (const door of doors) door.close();
      expect(await running.stop()).toBe(0);

      const calledNumber = Object.values(answers).reduce((sum, count) => sum + count, 0);
      process.stdout.write(`\nreload, ${engine} ${how}: ${RELOADS} reloads, ${calledNumber} calls of grpcio\n\n`);
      expect(answers).toEqual({ ok: calledNumber });
      expect(calledNumber).toBeGreaterThan(RELOADS);
      expect(failures).toEqual([]);
      expect([backend.counts.size, backend.copies]).toEqual([load.acknowledgedItems, 0]);
    },
  );
});
