import * as grpc from "@grpc/grpc-js";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { otlpReceiverFactory } from "../../../src/receivers/otlp/factory.ts";
import { TestGateway } from "./test-gateway.ts";

async function socketPath(name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "signalbox-unix-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return join(folder, name);
}

const ONE_RECORD = JSON.stringify({
  resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "x" } }] }] }],
});
// LogsData { resource_logs { scope_logs { log_records { body { string_value: "x" } } } } }
const ONE_RECORD_BYTES = Buffer.from([10, 9, 18, 7, 18, 5, 42, 3, 10, 1, 120]);

function post(path: string): Promise<number | undefined> {
  const headers = { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    request({ socketPath: path, path: "/v1/logs", method: "POST", headers }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode));
    })
      .once("error", reject)
      .end(ONE_RECORD);
  });
}

function call(path: string): Promise<Buffer> {
  const client = new grpc.Client(`unix:${path}`, grpc.credentials.createInsecure());
  const method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  const asIs = (bytes: Buffer): Buffer => bytes;
  return new Promise<Buffer>((resolve, reject) => {
    client.makeUnaryRequest(method, asIs, asIs, ONE_RECORD_BYTES, (error, response) =>
      error === null ? resolve(response ?? Buffer.alloc(0)) : reject(error),
    );
  }).finally(() => client.close());
}

describe("transport: unix", () => {
  it("takes OTLP over gRPC and HTTP on sockets, and says where they are", async () => {
    const paths = { grpc: await socketPath("grpc.sock"), http: await socketPath("http.sock") };
    await using gateway = await TestGateway.start({
      protocols: {
        grpc: { transport: "unix", endpoint: paths.grpc },
        http: { transport: "unix", endpoint: paths.http },
      },
    });
    expect(gateway.listening.map(({ address }) => address)).toEqual([`unix:${paths.grpc}`, `unix:${paths.http}`]);
    expect(await call(paths.grpc)).toEqual(Buffer.alloc(0));
    expect(await post(paths.http)).toBe(200);
    expect(gateway.arrivals.map(({ itemCount, outcome }) => [itemCount, outcome])).toEqual([
      [1, "committed"],
      [1, "committed"],
    ]);
  });

  it("wants a path, and tcp wants host:port", () => {
    const problem = (grpcConfig: object): string | undefined =>
      otlpReceiverFactory.config.safeParse({ protocols: { grpc: grpcConfig } }).error?.issues[0]?.message;
    expect(problem({ transport: "unix", endpoint: "localhost:4317" })).toBe("expected the path of a socket");
    expect(problem({ transport: "unix" })).toBe("expected the path of a socket");
    expect(problem({ endpoint: "/run/x.sock" })).toBe("expected host:port (the port is missing)");
  });
});
