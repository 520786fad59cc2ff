import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ExporterClient } from "../../../src/exporters/otlp_grpc/clients.ts";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import { GRPC_CODES } from "../../../src/net/rpc-status.ts";
import { NEVER } from "../test-exporter.ts";
import { Http2Backend } from "./http2-backend.ts";
import { NameServer } from "./name-server.ts";
import { SilentRelay } from "./silent-relay.ts";
import { CLIENTS, type CreateClient, openClient } from "./two-clients.ts";

// Read by grpc-js when it is loaded: without it, it asks the system's name server whatever the target says.
vi.hoisted(() => {
  process.env["GRPC_NODE_USE_ALTERNATIVE_RESOLVER"] = "true";
});

/** Loopback addresses that share a port: what a name with several addresses leads to. */
const HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

let backends: Http2Backend[];
let names: NameServer;
const running: ExporterClient[] = [];

beforeEach(async () => {
  const [firstHost, ...otherHosts] = HOSTS;
  const first = await Http2Backend.listen(undefined, 0, firstHost);
  backends = [first];
  for (const host of otherHosts) backends.push(await Http2Backend.listen(undefined, first.port, host));
  names = await NameServer.listen(HOSTS);
});

afterEach(async () => {
  for (const client of running.splice(0)) client.close();
  for (const backend of backends) await backend.close();
  names.close();
});

function targetAt(port: number): string {
  return `dns://127.0.0.1:${names.port}/backend.test:${port}`;
}

function open(create: CreateClient, config: object = {}, target = targetAt(backends[0]!.port)): ExporterClient {
  const client = openClient(create, target, config);
  running.push(client);
  return client;
}

const send = async (client: ExporterClient): Promise<number> => {
  const call = { path: OTLP_METHODS.logs, message: Buffer.from("any bytes"), timeoutMs: 20_000 };
  return (await client.call(call, NEVER)).code;
};

const counts = (): number[] => backends.map(({ calls }) => calls.length);

/** Sends one after the other until the backends have settled on `isReached`; each must succeed. */
async function sendUntil(client: ExporterClient, isReached: () => boolean): Promise<void> {
  for (let count = 0; count < 2000 && !isReached(); count += 1) expect(await send(client)).toBe(GRPC_CODES.OK);
  expect(isReached()).toBe(true);
}

describe.each(CLIENTS)("over %s", (_name, create) => {
  test("round_robin spreads requests evenly over the addresses of a name", async () => {
    const client = open(create);
    await sendUntil(client, () => backends.every(({ sessions }) => sessions.size === 1));
    const before = counts();
    for (let count = 0; count < 30; count += 1) await send(client);
    expect(counts().map((count, index) => count - before[index]!)).toEqual([10, 10, 10]);
  });

  test("pick_first stays with one address", async () => {
    const client = open(create, { balancer_name: "pick_first" });
    for (let count = 0; count < 30; count += 1) await send(client);
    expect(counts().toSorted((left, right) => left - right)).toEqual([0, 0, 30]);
  });

  test.each(["round_robin", "pick_first"] as const)(
    "with %s, addresses that are dead from the start cost no request",
    async (balancer_name) => {
      for (const index of [0, 1]) await backends[index]!.close();
      const alive = backends[2]!;
      backends = [alive];
      const client = open(create, { balancer_name }, targetAt(alive.port));
      for (let count = 0; count < 20; count += 1) expect(await send(client)).toBe(GRPC_CODES.OK);
      expect(alive.calls.length).toBe(20);
    },
  );

  test.each(["round_robin", "pick_first"] as const)(
    "with %s, an address that dies between requests costs none",
    async (balancer_name) => {
      const client = open(create, { balancer_name });
      await send(client);
      const used = backends.find(({ calls }) => calls.length > 0)!;
      await used.close();
      backends = backends.filter((backend) => backend !== used);
      // The client learns of it when the socket closes, which is after this.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      for (let count = 0; count < 20; count += 1) expect(await send(client)).toBe(GRPC_CODES.OK);
    },
  );

  test("an address that takes leave (GOAWAY) costs none, and is used again", async () => {
    const client = open(create);
    await sendUntil(client, () => backends.every(({ sessions }) => sessions.size === 1));
    const [leaving] = backends;
    for (const session of leaving!.sessions) session.close();
    await sendUntil(client, () => leaving!.sessionCount === 2);
    const before = leaving!.calls.length;
    await sendUntil(client, () => leaving!.calls.length > before);
    expect(leaving!.sessionCount).toBe(2);
  });

  test("keepalive finds a backend that has gone silent, and the call on it fails before its timeout", async () => {
    const relay = await SilentRelay.listen(backends[0]!.port);
    const client = open(create, { keepalive: { time: "100ms", timeout: "100ms" } }, `dns:127.0.0.1:${relay.port}`);
    expect(await send(client)).toBe(GRPC_CODES.OK);
    relay.silence();
    const startMs = performance.now();
    expect(await send(client)).toBe(GRPC_CODES.UNAVAILABLE);
    expect(performance.now() - startMs).toBeLessThan(15_000);
    expect(await send(client)).toBe(GRPC_CODES.OK);
    expect(relay.connectionCount).toBe(2);
    relay.close();
  });

  test("keepalive leaves a connection alone that answers, without calls too", async () => {
    const keepalive = { time: "20ms", timeout: "5s", permit_without_stream: true };
    const client = open(create, { keepalive, balancer_name: "pick_first" });
    await send(client);
    const used = backends.find(({ calls }) => calls.length > 0)!;
    await used.pinged(3);
    await send(client);
    expect(used.sessionCount).toBe(1);
  });
});
