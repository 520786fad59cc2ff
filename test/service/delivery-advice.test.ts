import { describe, expect, it } from "vitest";
import type { Configuration } from "../../src/config/configuration.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { deliveryWarnings, pipelineStoppers } from "../../src/service/delivery-advice.ts";
import { loadGateway } from "../../src/service/load.ts";

async function load(exporters: string, pipelines: string): Promise<Configuration> {
  const text = `receivers: {otlp: {protocols: {grpc: }}, otlp/2: {protocols: {http: }}}
exporters:
${exporters}
service: {pipelines: {${pipelines}}}
`;
  const loaded = await loadGateway({ files: [{ name: "x.yaml", text }], env: {}, processorFolders: [] });
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems));
  return loaded.configuration;
}

const QUEUED = `  otlp_grpc/queued: {endpoint: "a:1"}`;
const DIRECT = `  otlp_grpc/direct: {endpoint: "b:1", sending_queue: {enabled: false}}`;

async function warnings(exporters: readonly string[], pipelines: string): Promise<string> {
  return formatProblems(deliveryWarnings(await load(exporters.join("\n"), pipelines)));
}

describe("deliveryWarnings", () => {
  it("names a destination without a queue beside another, with its line", async () => {
    const said = await warnings(
      [QUEUED, DIRECT],
      "logs: {receivers: [otlp], exporters: [otlp_grpc/queued, otlp_grpc/direct]}",
    );
    expect(said).toBe(
      [
        "x.yaml:4:64  exporters.otlp_grpc/direct.sending_queue.enabled",
        "  sends while the sender waits, beside otlp_grpc/queued: when one of them refuses, what this one got comes again (at-least-once)",
        "  leave the queue on, unless duplicates do no harm there",
      ].join("\n"),
    );
  });

  it("finds the other one behind another pipeline of the same receiver, and wait_for_result too", async () => {
    const waiting = `  otlp_grpc/waiting: {endpoint: "b:1", sending_queue: {wait_for_result: true}}`;
    const said = await warnings(
      [QUEUED, waiting],
      "logs: {receivers: [otlp], exporters: [otlp_grpc/queued]}, logs/2: {receivers: [otlp], exporters: [otlp_grpc/waiting]}",
    );
    expect(said).toContain("x.yaml:4:73  exporters.otlp_grpc/waiting.sending_queue.wait_for_result");
  });

  it.each([
    ["alone", [DIRECT], "logs: {receivers: [otlp], exporters: [otlp_grpc/direct]}"],
    [
      "behind another receiver",
      [QUEUED, DIRECT],
      "logs: {receivers: [otlp], exporters: [otlp_grpc/queued]}, logs/2: {receivers: [otlp/2], exporters: [otlp_grpc/direct]}",
    ],
    [
      "for another signal",
      [QUEUED, DIRECT],
      "logs: {receivers: [otlp], exporters: [otlp_grpc/queued]}, traces: {receivers: [otlp], exporters: [otlp_grpc/direct]}",
    ],
    [
      "beside one that refuses nothing",
      [DIRECT, "  debug:"],
      "logs: {receivers: [otlp], exporters: [otlp_grpc/direct, debug]}",
    ],
  ])("says nothing of one that stands %s", async (_, exporters, pipelines) => {
    expect(await warnings(exporters, pipelines)).toBe("");
  });

  it("names a pipeline without a required destination", async () => {
    expect(await warnings(["  debug:"], "logs: {receivers: [otlp], exporters: [debug]}")).toBe(
      [
        "x.yaml:4:23  service.pipelines.logs.exporters",
        "  has no required destination: what is accepted may be dropped",
        "  add one, or write required: true under the sending_queue of one of its exporters",
      ].join("\n"),
    );
  });

  it("says that dead letters in memory are out of reach, and that such a queue stops nobody", async () => {
    const letters = `  otlp_grpc/letters: {endpoint: "a:1", sending_queue: {overflow: dead_letter}}`;
    const configuration = await load(letters, "logs: {receivers: [otlp], exporters: [otlp_grpc/letters]}");
    expect(formatProblems(deliveryWarnings(configuration))).toBe(
      [
        "x.yaml:3:66  exporters.otlp_grpc/letters.sending_queue.overflow",
        "  keeps its dead letters in memory: they end with the process, and no command reaches them before",
        "  name a file_storage in sending_queue.storage",
      ].join("\n"),
    );
    expect(pipelineStoppers(configuration)).toEqual([]);
  });

  it("takes a store for one where it is the only one", async () => {
    expect(await warnings(["  local_store:"], "logs: {receivers: [otlp], exporters: [local_store]}")).toBe("");
  });
});

describe("pipelineStoppers", () => {
  it("names what can stop each pipeline, and leaves out what cannot", async () => {
    const exporters = [
      QUEUED,
      DIRECT,
      `  otlp_grpc/blocking: {endpoint: "c:1", sending_queue: {overflow: block, sizer: items, queue_size: 5}}`,
      `  otlp_grpc/dropping: {endpoint: "d:1", sending_queue: {overflow: drop_oldest}}`,
      "  debug:",
    ];
    const all = "[otlp_grpc/queued, otlp_grpc/direct, otlp_grpc/blocking, otlp_grpc/dropping, debug]";
    const configuration = await load(exporters.join("\n"), `logs: {receivers: [otlp], exporters: ${all}}`);
    expect(pipelineStoppers(configuration)).toEqual([
      "logs waits for otlp_grpc/queued once its queue of 1000 requests is full, and then refuses",
      "logs waits for otlp_grpc/direct to answer, since it has no queue in between",
      "logs waits for otlp_grpc/blocking once its queue of 5 items is full, as long as it takes",
    ]);
  });
});
