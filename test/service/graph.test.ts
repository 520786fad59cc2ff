import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { startGateway } from "../../src/index.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-graph-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

describe("processors in a row", () => {
  test("a processor sees records under the resource that the one before it moved them to", async () => {
    const folder = folderWith({
      "note_machine.ts": `
        import { defineProcessor } from "signalbox/sdk";
        export const note = defineProcessor({ type: "note_machine", logs(batch) {
          for (const group of batch.resourceGroups()) {
            const machine = group.resource.attributes.getString("machine.id") ?? "none";
            for (const record of group.records()) record.attributes.set("seen", machine);
          }
        } });`,
      "collect.ts": `
        import { defineProcessor } from "signalbox/sdk";
        export const collect = defineProcessor({ type: "collect", logs(batch, ctx) {
          for (const record of batch) ctx.logger.info("seen " + record.attributes.getString("seen"));
        } });`,
    });
    const lines: string[] = [];
    const logger = {
      debug: () => {},
      info: (line: string) => void lines.push(line),
      warn: () => {},
      error: () => {},
      with: () => logger,
    };
    const text = `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
processors: { worker_identity: , memory_limiter: { check_interval: 1s, limit_mib: 1000 }, note_machine: , collect: }
exporters: { debug: { output_paths: [stderr] } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], processors: [worker_identity, memory_limiter, note_machine, collect], exporters: [debug] } }
`;
    const gateway = await startGateway({
      configuration: { name: "row.yaml", text },
      processorFolders: [folder],
      logger,
    });
    const record = (machine: string): object => ({
      attributes: [
        { key: "machine_id", value: { stringValue: machine } },
        { key: "worker_id", value: { stringValue: "w" } },
      ],
    });
    const body = JSON.stringify({
      resourceLogs: [{ scopeLogs: [{ logRecords: [record("a"), record("b"), record("a")] }] }],
    });
    const url = gateway.listening[0]!.address;
    const answer = await fetch(`${url}/v1/logs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    expect(answer.status).toBe(200);
    await gateway.shutdown();
    expect(lines.filter((line) => line.startsWith("seen"))).toEqual(["seen a", "seen a", "seen b"]);
  });
});
