import { describe, expect, test } from "vitest";
import { startGateway } from "signalbox";

function gatewayYaml(exporter: string, block: string): string {
  return `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters: { ${exporter}: { ${block} } }
service: { telemetry: { metrics: { level: none } }, pipelines: { logs: { receivers: [otlp], exporters: [${exporter}] } } }
`;
}

describe("a component that cannot start", () => {
  const tls = `endpoint: "https://127.0.0.1:1", tls: { ca_file: /no/such/ca.pem }`;
  test.for([
    ["otlp_http/dash0", tls],
    ["otlp_grpc/dash0", tls],
    ["file/archive", "path: /no/such/folder/logs.jsonl"],
  ] as const)("is named by its place in the YAML, once: exporters.%s", async ([exporter, block]) => {
    const starting = startGateway({ configuration: { name: "here.yaml", text: gatewayYaml(exporter, block) } });
    const error: unknown = await starting.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message.split(`exporters.${exporter}`)).toHaveLength(2);
    expect((error as Error).message).toMatch(/^exporters\.\w+\/\w+: .*\/no\/such\//);
  });
});
