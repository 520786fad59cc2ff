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

  test("reload() puts another configuration in force on the same port, or says why not and changes nothing", async () => {
    const text = (exporter: string): string => `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters: { ${exporter} }
service: { telemetry: { metrics: { level: none } }, pipelines: { logs: { receivers: [otlp], exporters: [debug] } } }
`;
    const named = (exporter: string): { name: string; text: string } => ({ name: "here.yaml", text: text(exporter) });
    const gateway = await startGateway({ configuration: named("debug: { output_paths: [stderr], verbosity: basic }") });
    const address = gateway.listening[0]!.address;
    expect(await gateway.reload()).toEqual([]);
    expect(await gateway.reload(named("debug: { output_paths: [stderr], verbosity: normal }"))).toEqual([
      "exporters.debug changed",
    ]);
    const bad = gateway.reload(named("debug: { verbosty: normal }"));
    await expect(bad).rejects.toThrow('did you mean "verbosity"?');
    expect(gateway.listening).toMatchObject([{ address }]);
    expect(await gateway.reload()).toEqual([]);
    await gateway.shutdown();
    await expect(gateway.reload()).rejects.toThrow("the gateway is stopping");
  });
});
