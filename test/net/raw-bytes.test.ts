/**
 * Bytes that no client would write, at both doors: pieces of real connections, turned about, cut and flipped, written in
 * pieces of any size. Whatever comes, the door gives its bytes back and serves the next good client.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fuzz } from "../support/fuzz.ts";
import { callGrpc, postHttp } from "../receivers/otlp/otlp-clients.ts";
import { TestGateway } from "../receivers/otlp/test-gateway.ts";
import { until } from "../contract/stage.ts";
import { oneRequest } from "../contract/requests.ts";
import { RawConnection } from "./raw-connection.ts";

const LOGS = Buffer.from(oneRequest("logs"));
const text = (lines: string): Buffer => Buffer.from(lines.replaceAll("\n", "\r\n"), "latin1");

const HTTP_PIECES = [
  text("POST /v1/logs HTTP/1.1\nhost: a\ncontent-type: application/x-protobuf\n"),
  text("POST /v1/traces HTTP/1.1\nhost: a\ncontent-type: application/json\n"),
  text("GET / HTTP/1.0\n"),
  text("content-length: 12\n"),
  text(`content-length: ${LOGS.length}\n`),
  text("content-length: 99999999999999999999\n"),
  text("transfer-encoding: chunked\n"),
  text("content-encoding: gzip\n"),
  text("expect: 100-continue\n"),
  text("upgrade: websocket\nconnection: upgrade\n"),
  text("connection: keep-alive\n"),
  text(`x: ${"y".repeat(9_000)}\n`),
  text("\n"),
  text("c\n"),
  text("ffffffffffffffff\n"),
  text("0\n\n"),
  Buffer.from('{"resourceLogs":'),
  LOGS,
];

const frame = (type: number, flags: number, stream: number, payload: Uint8Array): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

const EMPTY = new Uint8Array(0);
/** :method POST, :scheme http, :path /, literal headers without indexing. */
const HEADER_BLOCK = Buffer.from([0x83, 0x86, 0x84, 0x00, 0x01, 0x61, 0x01, 0x62]);

const HTTP2_PIECES = [
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(4, 0, 0, EMPTY),
  frame(4, 1, 0, EMPTY),
  frame(4, 0, 0, Buffer.from([0, 4, 0xff, 0xff, 0xff, 0xff])),
  frame(1, 4, 1, HEADER_BLOCK),
  frame(1, 5, 3, HEADER_BLOCK),
  frame(1, 0, 5, HEADER_BLOCK.subarray(0, 3)),
  frame(9, 4, 5, HEADER_BLOCK.subarray(3)),
  frame(0, 0, 1, Buffer.concat([Buffer.from([0, 0, 0, 0, LOGS.length & 255]), LOGS])),
  frame(0, 1, 1, Buffer.from([1, 0xff, 0xff, 0xff, 0xff])),
  frame(3, 0, 1, Buffer.alloc(4)),
  frame(6, 0, 0, Buffer.alloc(8)),
  frame(7, 0, 0, Buffer.alloc(8)),
  frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
  frame(2, 0, 1, Buffer.alloc(5)),
  frame(0xfa, 0xff, 9, Buffer.alloc(3)),
];

/** Pieces in any order, some damaged, and how large the writes are. */
function connections(pieces: readonly Buffer[]): fc.Arbitrary<{ readonly bytes: Buffer; readonly size: number }> {
  const damaged = fc
    .tuple(fc.constantFrom(...pieces), fc.nat(20_000), fc.nat(7), fc.option(fc.nat(64)))
    .map(([piece, at, bit, end]) => {
      const copy = Buffer.from(piece.subarray(0, end ?? piece.length));
      if (copy.length > 0) copy[at % copy.length]! ^= 1 << bit;
      return copy;
    });
  const piece = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...pieces) },
    { weight: 2, arbitrary: damaged },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)) },
  );
  return fc.record({
    // A good beginning most of the time: what does not begin well ends at once, and tries nothing.
    bytes: fc
      .tuple(fc.boolean(), fc.array(piece, { minLength: 1, maxLength: 10 }))
      .map(([isWellBegun, parts]) => Buffer.concat(isWellBegun ? [pieces[0]!, ...parts] : parts)),
    size: fc.constantFrom(1, 2, 7, 1_000, 100_000),
  });
}

async function writeAll(port: number, { bytes, size }: { bytes: Buffer; size: number }): Promise<void> {
  const connection = new RawConnection(port);
  connection.socket.setNoDelay(true);
  // One byte a time is for what is small: a packet each is what it costs.
  const step = Math.max(size, Math.ceil(bytes.length / 500));
  for (let at = 0; at < bytes.length && !connection.socket.destroyed; at += step) {
    connection.write(bytes.subarray(at, at + step));
    await connection.flushed();
  }
  connection.destroy();
  await connection.closed();
}

async function expectUnharmed(gateway: TestGateway): Promise<void> {
  await until(
    () => gateway.budget.leasedBytes === 0,
    () => `${gateway.budget.leasedBytes} bytes of the doors given back`,
  );
}

describe("any bytes on a connection", () => {
  test("to the HTTP door end with the connection; the next good client is served", async () => {
    await using gateway = await TestGateway.start();
    const port = gateway.portOf("OTLP/HTTP");
    await fc.assert(
      fc.asyncProperty(connections(HTTP_PIECES), async (connection) => {
        await writeAll(port, connection);
        expect((await postHttp(port, "/v1/logs", "application/x-protobuf", LOGS)).status).toBe(200);
        await expectUnharmed(gateway);
      }),
      fuzz(),
    );
  });

  test.for(["http2", "grpc_js"])(
    "to the gRPC door (%s) end with the connection; the next good client is served",
    async (engine) => {
      await using gateway = await TestGateway.start({ protocols: { grpc: { endpoint: "127.0.0.1:0", engine } } });
      const port = gateway.portOf("OTLP/gRPC");
      await fc.assert(
        fc.asyncProperty(connections(HTTP2_PIECES), async (connection) => {
          await writeAll(port, connection);
          expect((await callGrpc(port, "logs", LOGS)).code).toBe(0);
          await expectUnharmed(gateway);
        }),
        fuzz(),
      );
    },
  );
});
