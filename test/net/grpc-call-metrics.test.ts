/** `rpc.server.call.duration` counts every call of a method that the door has, also those that never reach the handler. */
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { GrpcServerCalls } from "../../src/net/call-metrics.ts";
import type { GrpcDoor, GrpcDoorSettings } from "../../src/net/grpc-door.ts";
import { GrpcJsDoor } from "../../src/net/grpc-js-door.ts";
import { Http2Door } from "../../src/net/http2-door.ts";
import { MetricsRegistry } from "../../src/service/metrics-registry.ts";
import { framed, sendGrpc } from "../peers/protocol-senders.ts";
import { OpenBudget } from "./open-budget.ts";

const PATH = "/signalbox.test.Echo/Send";
const NOTHING = framed(new Uint8Array(0));

const ENGINES: Readonly<Record<string, (settings: GrpcDoorSettings) => GrpcDoor>> = {
  http2: (settings) => new Http2Door(settings),
  grpc_js: (settings) => new GrpcJsDoor(settings),
};

let close: () => Promise<void>;
afterEach(() => close());

async function openDoor(engine: string): Promise<{ readonly port: number; readonly counted: () => unknown[] }> {
  const registry = new MetricsRegistry("detailed");
  const calls = GrpcServerCalls.of(registry, systemClock)!;
  const ignore = (): void => undefined;
  const door = ENGINES[engine]!({
    endpoint: { host: "127.0.0.1", port: 0 },
    owner: "receivers.test",
    endpointKey: "protocols.grpc.endpoint",
    methods: new Map([
      [
        PATH,
        async (request) => {
          if (request.length > 0) throw new ConsumeError("permanent", "not this one");
          return request;
        },
      ],
    ]),
    messageBytesMax: 100,
    streamsMax: 10,
    observer: {
      onCall: (path) => calls.begin(path),
      onAbortedRequest: ignore,
      onRefusedUnread: ignore,
      onEndedConnection: ignore,
    },
    budget: new OpenBudget(),
    clock: systemClock,
  });
  const { port } = await door.start();
  close = () => door.stop(AbortSignal.abort());
  const counted = (): unknown[] =>
    registry.collect().flatMap(({ name, series }) =>
      series.map(({ labels, value }) => {
        expect([name, labels["rpc.system.name"], labels["rpc.method"]]).toEqual([
          "rpc.server.call.duration",
          "grpc",
          PATH.slice(1),
        ]);
        const count = typeof value === "number" ? value : value.count;
        return [labels["rpc.response.status_code"], labels["error.type"], count];
      }),
    );
  return { port, counted };
}

describe.each(Object.keys(ENGINES))("calls by %s", (engine) => {
  it("are counted by their status; what is the sender's fault is no error", async () => {
    const { port, counted } = await openDoor(engine);
    expect(await sendGrpc(port, { path: PATH, body: NOTHING })).toMatch(/^OK/);
    expect(await sendGrpc(port, { path: PATH, body: framed(Buffer.from("x")) })).toMatch(/INVALID_ARGUMENT/);
    expect(counted()).toEqual([
      ["OK", undefined, 1],
      ["INVALID_ARGUMENT", undefined, 1],
    ]);
  });

  it("of a method that the door has not are not counted: their names are their senders'", async () => {
    const { port, counted } = await openDoor(engine);
    expect(await sendGrpc(port, { path: "/a.b/C", body: NOTHING })).toMatch(/UNIMPLEMENTED/);
    expect(counted()).toEqual([]);
  });
});

it("calls that the door on node:http2 refuses by itself are counted with their status", async () => {
  const { port, counted } = await openDoor("http2");
  const refused = [
    { body: framed(new Uint8Array(101)) },
    { body: framed(new Uint8Array(1), 1), headers: { "grpc-encoding": "nope" } },
    { body: framed(new Uint8Array(1), 2) },
    { body: NOTHING, headers: { "grpc-timeout": "1n" } },
  ];
  for (const sent of refused) await sendGrpc(port, { path: PATH, ...sent });
  expect(counted()).toEqual([
    ["RESOURCE_EXHAUSTED", undefined, 1],
    ["UNIMPLEMENTED", "UNIMPLEMENTED", 1],
    ["INTERNAL", "INTERNAL", 1],
    ["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", 1],
  ]);
});
