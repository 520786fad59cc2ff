import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { gunzipSync, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { settle } from "../../support/test-clock.ts";
import { RawConnection } from "../../net/raw-connection.ts";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import { callGrpc, postHttp } from "./otlp-clients.ts";
import { TestGateway } from "./test-gateway.ts";
import { fuzz } from "../../support/fuzz.ts";

/** Each bad sender stands beside a good one, who is served, and leaves nothing behind. */

const PROTOBUF = "application/x-protobuf";
const LOGS = readFileSync(new URL("../../testdata/collector-otlp/logs.binpb", import.meta.url));

const connections: RawConnection[] = [];
afterEach(() => {
  for (const connection of connections.splice(0)) connection.destroy();
});

function open(gateway: TestGateway, what: "OTLP/gRPC" | "OTLP/HTTP" = "OTLP/HTTP"): RawConnection {
  const connection = new RawConnection(gateway.portOf(what));
  connections.push(connection);
  return connection;
}

function head(length: number, extra: readonly string[] = []): string {
  const lines = ["POST /v1/logs HTTP/1.1", "host: x", `content-type: ${PROTOBUF}`, `content-length: ${length}`];
  return [...lines, ...extra, "", ""].join("\r\n");
}

const SERVED = [0, 200];

/** What a good sender is answered over gRPC and HTTP. */
async function serve(gateway: TestGateway): Promise<number[]> {
  const overGrpc = await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS);
  const overHttp = await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, LOGS);
  return [overGrpc.code, overHttp.status];
}

async function expectNothingLeased(gateway: TestGateway): Promise<void> {
  while (gateway.budget.leasedBytes > 0) await settle();
  expect(gateway.budget.leasedBytes).toBe(0);
}

describe("a good sender is served beside", () => {
  it("half a body that never goes on, and then breaks off", async () => {
    await using gateway = await TestGateway.start();
    const connection = open(gateway).write(head(LOGS.length)).write(LOGS.subarray(0, 100));
    while (gateway.budget.leasedBytes === 0) await settle();
    expect(await serve(gateway)).toEqual(SERVED);
    connection.destroy();
    await expectNothingLeased(gateway);
    expect(gateway.arrivals).toHaveLength(2);
  });

  it("a body shorter than declared, and one longer, whose rest is no request", async () => {
    await using gateway = await TestGateway.start();
    const short = open(gateway);
    short.socket.end(Buffer.concat([Buffer.from(head(LOGS.length + 10)), LOGS]));
    expect((await short.answer()).status).toBe(400);
    const long = open(gateway).write(head(LOGS.length)).write(LOGS).write("rest\r\n\r\n");
    // node:http answers what it cannot parse in place of the request that it follows, and closes.
    expect((await long.answer()).status).toBe(400);
    await long.closed();
    expect(await serve(gateway)).toEqual(SERVED);
    await expectNothingLeased(gateway);
  });

  it("connections that say nothing, and HTTP/1.1 on the gRPC port", async () => {
    await using gateway = await TestGateway.start();
    for (let count = 0; count < 50; count++) open(gateway, count % 2 === 0 ? "OTLP/gRPC" : "OTLP/HTTP");
    await open(gateway, "OTLP/gRPC").write("GET / HTTP/1.1\r\nhost: x\r\n\r\n").closed();
    expect(await serve(gateway)).toEqual(SERVED);
  });

  it("HTTP/2 on the HTTP port", async () => {
    await using gateway = await TestGateway.start();
    const session = connect(`http://127.0.0.1:${gateway.portOf("OTLP/HTTP")}`);
    const { promise: failed, resolve } = Promise.withResolvers<string>();
    session.on("error", () => resolve("failed"));
    expect(await failed).toBe("failed");
    expect(await serve(gateway)).toEqual(SERVED);
  });

  it("gRPC streams that are reset as soon as they are open", async () => {
    await using gateway = await TestGateway.start();
    const session = connect(`http://127.0.0.1:${gateway.portOf("OTLP/gRPC")}`);
    session.on("error", () => undefined);
    for (let count = 0; count < 200; count++) {
      const headers = { ":method": "POST", ":path": OTLP_METHODS.logs, "content-type": "application/grpc" };
      const stream = session.request(headers);
      stream.on("error", () => undefined);
      stream.close(8);
    }
    expect(await serve(gateway)).toEqual(SERVED);
    session.destroy();
    await expectNothingLeased(gateway);
  });

  it("a bomb of gzip over HTTP and gRPC", async () => {
    const protocols = {
      grpc: { endpoint: "127.0.0.1:0", max_recv_msg_size_mib: 1 },
      http: { endpoint: "127.0.0.1:0", max_request_body_size: "1MiB" },
    };
    await using gateway = await TestGateway.start({ protocols });
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
    const headers = { "content-encoding": "gzip" };
    const httpPort = gateway.portOf("OTLP/HTTP");
    expect((await postHttp(httpPort, "/v1/logs", PROTOBUF, bomb, headers)).status).toBe(413);
    expect(gateway.budget.leasedBytesPeak).toBeLessThan(2 * 1024 * 1024);
    expect(await serve(gateway)).toEqual(SERVED);
    await expectNothingLeased(gateway);
  });
});

describe("whatever comes", () => {
  const allowed = new Set([200, 400]);

  it("as the bytes of a request is taken or refused with 400, and nothing else", async () => {
    await using gateway = await TestGateway.start();
    const httpPort = gateway.portOf("OTLP/HTTP");
    const flipped = fc
      .tuple(fc.nat(LOGS.length - 1), fc.nat(7), fc.nat(LOGS.length))
      .map(([index, bit, end]) =>
        Buffer.from(LOGS.map((byte, at) => (at === index ? byte ^ (1 << bit) : byte))).subarray(0, end),
      );
    const anything = fc.oneof(
      flipped,
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (bytes) => {
        const { status } = await postHttp(httpPort, "/v1/logs", PROTOBUF, bytes);
        expect(allowed.has(status)).toBe(true);
        expect([0, 3]).toContain((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", bytes)).code);
      }),
      fuzz(100),
    );
    await expectNothingLeased(gateway);
  });

  it("as JSON is taken or refused with 400, and nothing else", async () => {
    await using gateway = await TestGateway.start();
    const httpPort = gateway.portOf("OTLP/HTTP");
    const text = fc.oneof(
      fc.json(),
      fc.string({ unit: "binary" }),
      fc.json().map((json) => `{"resourceLogs":${json}}`),
    );
    await fc.assert(
      fc.asyncProperty(text, async (json) => {
        const { status, body } = await postHttp(httpPort, "/v1/logs", "application/json", json);
        expect(allowed.has(status)).toBe(true);
        expect(() => JSON.parse(body.toString()) as unknown).not.toThrow();
      }),
      fuzz(100),
    );
  });

  it("in pieces of any size is put together", async () => {
    await using gateway = await TestGateway.start();
    const zipped = gzipSync(LOGS);
    const request = Buffer.concat([Buffer.from(head(zipped.length, ["content-encoding: gzip"])), zipped]);
    for (const size of [1, 2, 7, request.length]) {
      const connection = open(gateway);
      connection.socket.setNoDelay(true);
      for (let at = 0; at < request.length; at += size) {
        connection.write(request.subarray(at, at + size));
        await connection.flushed();
      }
      expect((await connection.answer()).status).toBe(200);
    }
    for (const { bytes } of gateway.arrivals) expect(bytes.equals(gunzipSync(zipped))).toBe(true);
    expect(gateway.arrivals).toHaveLength(4);
  });
});
