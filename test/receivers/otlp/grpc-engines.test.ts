import { describe, expect, it } from "vitest";
import { otlpReceiverConfig } from "../../../src/receivers/otlp/config.ts";
import { grpcKeepalive } from "../../../src/receivers/otlp/grpc-engines.ts";
import { TestGateway } from "./test-gateway.ts";

function grpcConfig(config: object) {
  return otlpReceiverConfig.parse({ protocols: { grpc: config } }).protocols.grpc!;
}

describe("the engine of the gRPC door", () => {
  it("is node:http2 where nothing is said, and one of two", () => {
    expect(grpcConfig({}).engine).toBe("http2");
    expect(grpcConfig({ engine: "grpc_js" }).engine).toBe("grpc_js");
    expect(() => grpcConfig({ engine: "grpc-js" })).toThrow("engine");
  });

  it("says what of keepalive grpc_js does not do, where it is set", async () => {
    const keepalive = { enforcement_policy: { min_time: "1m" } };
    for (const engine of ["http2", "grpc_js"]) {
      const protocols = { grpc: { endpoint: "127.0.0.1:0", engine, keepalive } };
      await using gateway = await TestGateway.start({ protocols });
      const said = gateway.warnings.filter((warning) => warning.includes("enforcement_policy has no effect"));
      expect(said).toHaveLength(engine === "grpc_js" ? 1 : 0);
    }
  });
});

describe("keepalive of the gRPC door", () => {
  it("has the defaults of Go's gRPC where a key is absent or 0", () => {
    const never = Number.POSITIVE_INFINITY;
    const standard = {
      maxConnectionIdleMs: never,
      maxConnectionAgeMs: never,
      maxConnectionAgeGraceMs: never,
      timeMs: 7_200_000,
      timeoutMs: 20_000,
      minTimeMs: 300_000,
      permitWithoutStream: false,
    };
    expect(grpcKeepalive(grpcConfig({}))).toEqual(standard);
    const zeros = { server_parameters: { time: "0s", max_connection_age: "0s" }, enforcement_policy: null };
    expect(grpcKeepalive(grpcConfig({ keepalive: zeros }))).toEqual(standard);
  });

  it("takes the Collector's keys", () => {
    const keepalive = {
      server_parameters: {
        max_connection_idle: "1m",
        max_connection_age: "2m",
        max_connection_age_grace: "3s",
        time: "30s",
        timeout: "5s",
      },
      enforcement_policy: { min_time: "10s", permit_without_stream: true },
    };
    expect(grpcKeepalive(grpcConfig({ keepalive }))).toEqual({
      maxConnectionIdleMs: 60_000,
      maxConnectionAgeMs: 120_000,
      maxConnectionAgeGraceMs: 3_000,
      timeMs: 30_000,
      timeoutMs: 5_000,
      minTimeMs: 10_000,
      permitWithoutStream: true,
    });
  });
});
