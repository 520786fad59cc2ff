import { describe, expect, test } from "vitest";
import { ConfigurationError, startGateway } from "signalbox";

describe("startGateway", () => {
  test("runs a gateway inside another program, until it is shut down", async () => {
    const text = `
receivers: { otlp: { protocols: { http: { endpoint: "\${env:HOST}:0" } } } }
exporters: { debug: { output_paths: [stderr], verbosity: basic } }
service: { telemetry: { metrics: { level: none } }, pipelines: { logs: { receivers: [otlp], exporters: [debug] } } }
`;
    const gateway = await startGateway({ configuration: { name: "here.yaml", text }, env: { HOST: "127.0.0.1" } });
    const url = gateway.listening.find(({ what }) => what === "OTLP/HTTP")!.address;
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "x" } }] }] }] });
    const response = await fetch(`${url}/v1/logs`, { method: "POST", headers, body });
    expect([response.status, await response.text()]).toEqual([200, "{}"]);
    await gateway.shutdown();
    await gateway.shutdown();
    expect(gateway.ledger.receivers).toMatchObject([{ receiver: "otlp", received: 1, accepted: 1 }]);
    await expect(fetch(`${url}/v1/logs`, { method: "POST", headers, body })).rejects.toThrow();
  });

  test("rejects with every problem of a configuration that cannot be run", async () => {
    const attempt = startGateway({ configuration: { name: "here.yaml", text: "receivers:\n  otlp:\n" } });
    await expect(attempt).rejects.toThrow(ConfigurationError);
    await expect(attempt).rejects.toThrow("here.yaml:");
  });

  test("leaves nothing listening when a component cannot start", async () => {
    const text = `
receivers:
  otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } }
  otlp/2: { protocols: { http: { endpoint: "127.0.0.1:1" }, grpc: { endpoint: "256.1.1.1:0" } } }
exporters: { debug: }
service: { telemetry: { metrics: { level: none } }, pipelines: { logs: { receivers: [otlp, otlp/2], exporters: [debug] } } }
`;
    await expect(startGateway({ configuration: { name: "here.yaml", text } })).rejects.toThrow("otlp/2");
  });
});
