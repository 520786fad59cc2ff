import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { DOOR_WAIT_MS_DEFAULT, LARGE_BATCH_ITEMS } from "../../../src/core/limits.ts";
import { settle, TestClock } from "../../support/test-clock.ts";
import { logsRequest } from "../../queue/support.ts";
import { callGrpc, postHttp } from "./otlp-clients.ts";
import type { HttpResult } from "./otlp-clients.ts";
import { TestGateway } from "./test-gateway.ts";

/** What a door refuses before anybody knows how many items it holds is told to the host; both engines run this. */

const PROTOBUF = "application/x-protobuf";
const LOGS = Buffer.from(logsRequest(["one", "two"]));

/** grpc-js tells nobody of the length that stands before a message. */
function declaredBytes(size: number): number {
  return TestGateway.engine === "http2" ? size : 0;
}

function metadata(name: string, value: string): grpc.Metadata {
  const headers = new grpc.Metadata();
  headers.set(name, value);
  return headers;
}

function overGrpc(reason: string, bytes: number) {
  return { receiver: "otlp", transport: "grpc", reason, bytes };
}

function overHttp(reason: string, bytes: number) {
  return { receiver: "otlp", transport: "http", reason, bytes };
}

describe("a request that a door refuses unread is told with reason and declared bytes", () => {
  it("for want of memory", async () => {
    await using gateway = await TestGateway.start();
    gateway.budget.pressure = "hard";
    await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS);
    await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, LOGS);
    expect(gateway.unread).toEqual([overGrpc("memory", declaredBytes(LOGS.length)), overHttp("memory", LOGS.length)]);
  });

  it("for its size, as declared and as it inflates", async () => {
    const limits = { grpc: { max_recv_msg_size_mib: 1 }, http: { max_request_body_size: "1MiB" } };
    const endpoint = "127.0.0.1:0";
    const protocols = { grpc: { endpoint, ...limits.grpc }, http: { endpoint, ...limits.http } };
    await using gateway = await TestGateway.start({ protocols });
    const large = Buffer.alloc(2 * 1024 * 1024);
    expect((await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, large)).status).toBe(413);
    const bomb = gzipSync(large);
    const zipped = await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, bomb, {
      "content-encoding": "gzip",
    });
    expect(zipped.status).toBe(413);
    expect(gateway.unread).toEqual([overHttp("too_large", large.length), overHttp("too_large", bomb.length)]);
    expect((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", large)).code).toBe(8);
    // What grpc-js refuses by itself looks to us as if the client had gone.
    const told = TestGateway.engine === "http2" ? [overGrpc("too_large", large.length)] : [];
    expect(gateway.unread.slice(2)).toEqual(told);
  });

  it("for what its headers say, and for a body that its coding does not fit", async () => {
    await using gateway = await TestGateway.start();
    const port = gateway.portOf("OTLP/HTTP");
    expect((await postHttp(port, "/v1/logs", "text/plain", LOGS)).status).toBe(415);
    for (const coding of ["rot13", "gzip"]) {
      expect((await postHttp(port, "/v1/logs", PROTOBUF, LOGS, { "content-encoding": coding })).status).toBe(400);
    }
    expect(gateway.unread).toEqual([
      overHttp("request_head", LOGS.length),
      overHttp("content_coding", LOGS.length),
      overHttp("content_coding", LOGS.length),
    ]);
  });

  it("for other large requests, which had the turn until its time was over", async () => {
    const clock = new TestClock(Date.now());
    await using gateway = await TestGateway.start({ clock });
    const release = Promise.withResolvers<void>();
    gateway.onConsume = () => release.promise;
    const large = Buffer.from(logsRequest(Array.from({ length: LARGE_BATCH_ITEMS + 1 }, () => "")));
    const send = (): Promise<HttpResult> => postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, large);
    const first = send();
    while (gateway.arrivals.length === 0) await settle();
    const answers: number[] = [];
    void send().then(({ status }) => answers.push(status));
    while (gateway.budget.leasedBytes < 2 * large.length) await settle();
    // Its time begins when it is read, which nobody tells: in small steps, so that there is time to read it.
    while (answers.length === 0) await clock.advance(DOOR_WAIT_MS_DEFAULT / 500);
    expect(answers).toEqual([503]);
    release.resolve();
    expect((await first).status).toBe(200);
    expect(gateway.unread).toEqual([overHttp("large_requests", large.length)]);
  });

  it("not where it was read, or asked for what is not there", async () => {
    await using gateway = await TestGateway.start({ signals: ["logs"] });
    const [grpcPort, httpPort] = [gateway.portOf("OTLP/gRPC"), gateway.portOf("OTLP/HTTP")];
    expect((await callGrpc(grpcPort, "logs", LOGS, { metadata: metadata("x-worker-id", "1") })).code).toBe(0);
    expect((await callGrpc(grpcPort, "logs", LOGS.subarray(1))).code).toBe(3);
    expect((await callGrpc(grpcPort, "traces", LOGS)).code).toBe(12);
    expect((await postHttp(httpPort, "/v1/logs", PROTOBUF, LOGS.subarray(1))).status).toBe(400);
    expect((await postHttp(httpPort, "/v1/traces", PROTOBUF, LOGS)).status).toBe(404);
    expect(gateway.unread).toEqual([]);
  });

  it("not where the sender has gone by itself", async () => {
    await using gateway = await TestGateway.start();
    const socket = connect(gateway.portOf("OTLP/HTTP"), "127.0.0.1");
    await once(socket, "connect");
    socket.write(
      "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100\r\n\r\nabc",
    );
    while (gateway.budget.leasedBytes === 0) await settle();
    socket.destroy();
    while (gateway.budget.leasedBytes > 0) await settle();
    expect(gateway.unread).toEqual([]);
  });
});
