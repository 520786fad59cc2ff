/** Reloads of the real process whose senders wait for the destination itself: `sending_queue: { enabled: false }`. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { freePort } from "../support/processes.ts";
import { CountingBackend, grpcDoor, httpDoor, NumberedLoad, watched } from "./numbered-load.ts";
import { startGateway, TestFolder } from "./peers.ts";

interface Version {
  readonly receiver?: string;
  readonly exporter?: string;
  readonly queue?: string;
  readonly exporters?: string;
}

test("no request of a sender that waits for the destination itself fails while everything is changed, and each record arrives once", async () => {
  await using folder = await TestFolder.create();
  await using first = await CountingBackend.listen();
  await using second = await CountingBackend.listen();
  const ports = { grpc: await freePort(), http: await freePort() };
  const DIRECT = "enabled: false";
  const save = ({
    receiver = "",
    exporter = "",
    queue = DIRECT,
    exporters = "otlp_http/a",
  }: Version): Promise<string> =>
    folder.write(
      "gateway.yaml",
      `
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "127.0.0.1:${ports.grpc}" }
      http: { endpoint: "127.0.0.1:${ports.http}"${receiver} }
exporters:
  otlp_http/a: { endpoint: "${first.url}", compression: none${exporter}, sending_queue: { ${queue} } }
  otlp_http/b: { endpoint: "${second.url}", compression: none, sending_queue: { ${DIRECT} } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [${exporters}] } }
signalbox: { watch: false }
`,
    );
  const { gateway } = await startGateway(await save({}));
  await using running = gateway;
  const failures: string[] = [];
  const doors = [grpcDoor(`127.0.0.1:${ports.grpc}`, 10_000), httpDoor(`http://127.0.0.1:${ports.http}`, 10_000)];
  const load = new NumberedLoad({
    doors: doors.map((door) => watched(door, failures)),
    lanes: 4,
    recordsPerRequest: 10,
    pauseMs: 2,
  });
  const versions: readonly Version[] = [
    { exporter: ", timeout: 7s" },
    { exporter: ", timeout: 7s", receiver: ", include_metadata: true" },
    { exporters: "otlp_http/b" },
    { queue: "enabled: true, queue_size: 1000" },
    { exporter: ", headers: { x-tenant: blue }" },
    { exporter: ", headers: { x-tenant: green }", queue: "wait_for_result: true" },
    { exporters: "otlp_http/b", receiver: ", include_metadata: true" },
    {},
  ];
  for (const [index, version] of versions.entries()) {
    await sleep(200);
    await save(version);
    process.kill(running.pid, "SIGHUP");
    await running.until((_stdout, stderr) => [...stderr.matchAll(/changes? (?:is|are) in force/g)].length > index);
  }
  await sleep(200);
  await load.stop();
  for (const door of doors) door.close();
  expect(await running.stop()).toBe(0);

  expect(failures).toEqual([]);
  expect(running.stderr).not.toContain("reload refused");
  expect(first.counts.size).toBeGreaterThan(0);
  expect(second.counts.size).toBeGreaterThan(0);
  const copies = new Map(first.counts);
  for (const [number, count] of second.counts) copies.set(number, (copies.get(number) ?? 0) + count);
  expect([...copies.values()].filter((count) => count > 1)).toEqual([]);
  expect(copies.size).toBe(load.acknowledgedItems);
}, 60_000);
