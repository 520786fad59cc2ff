import { describe, expect, test } from "vitest";
import type { Logger } from "../../../src/core/logger.ts";
import { batchConfig } from "../../../src/processors/batch/config.ts";
import { deliveryOf, queueOf } from "../../../src/service/destinations.ts";
import { loadGateway } from "../../../src/service/load.ts";
import type { Configuration } from "../../../src/config/configuration.ts";

async function configure(exporters: string, processors: string, names: string): Promise<Configuration> {
  const text = `
receivers: { otlp: { protocols: { grpc: } } }
processors: ${processors}
exporters: ${exporters}
service: { pipelines: { logs: { receivers: [otlp], processors: [${names}], exporters: [otlp_grpc] } } }
`;
  const loaded = await loadGateway({ files: [{ name: "batch.yaml", text }], env: {}, processorFolders: [] });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.configuration;
}

function createNotes(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const logger: Logger = {
    debug: () => {},
    info: (line) => void lines.push(line),
    warn: () => {},
    error: () => {},
    with: () => logger,
  };
  return { logger, lines };
}

describe("batch", () => {
  test("becomes the batching of the queue behind it, and says so", async () => {
    const configuration = await configure(
      "{ otlp_grpc: { endpoint: 'a:1' } }",
      "{ batch/big: { timeout: 3s, send_batch_size: 7, send_batch_max_size: 9, metadata_keys: [x-team] } }",
      "batch/big",
    );
    const { logger, lines } = createNotes();
    expect(queueOf("otlp_grpc", configuration, logger).batch).toEqual({
      flush_timeout: 3000,
      min_size: 7,
      max_size: 9,
      sizer: "items",
      metadata_keys: ["x-team"],
    });
    expect(lines).toEqual([expect.stringContaining("processors.batch/big became its sending_queue.batch")]);
  });

  test("leaves a queue alone that batches itself", async () => {
    const configuration = await configure(
      "{ otlp_grpc: { endpoint: 'a:1', sending_queue: { batch: { min_size: 5 } } } }",
      "{ batch: }",
      "batch",
    );
    const { logger, lines } = createNotes();
    expect(queueOf("otlp_grpc", configuration, logger).batch?.min_size).toBe(5);
    expect(lines).toEqual([expect.stringContaining("its own sending_queue.batch counts")]);
  });

  test("refuses what the Collector refuses, in its words", () => {
    const messages = (yaml: object): string[] =>
      (batchConfig.safeParse(yaml).error?.issues ?? []).map(({ message }) => message);
    expect(messages({ send_batch_max_size: 10 })).toEqual([
      "send_batch_max_size must be greater or equal to send_batch_size",
    ]);
    expect(messages({ metadata_keys: ["a", "A"] })).toEqual([
      'duplicate entry in metadata_keys: "a" (case-insensitive)',
    ]);
    expect(messages({})).toEqual([]);
  });
});

describe("the delivery of a destination", () => {
  test("is required for the local store where a pipeline has nothing else, best effort beside a required one", async () => {
    const load = async (exporters: string): Promise<Configuration> => {
      const text = `
receivers: { otlp: { protocols: { grpc: } } }
exporters: { local_store: { directory: x }, otlp_grpc: { endpoint: "a:1" }, debug: }
service: { pipelines: { logs: { receivers: [otlp], exporters: [${exporters}] }, traces: { receivers: [otlp], exporters: [otlp_grpc] } } }
`;
      const loaded = await loadGateway({ files: [{ name: "d.yaml", text }], env: {}, processorFolders: [] });
      if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
      return loaded.configuration;
    };
    expect(deliveryOf("local_store", await load("local_store"))).toBe("required");
    expect(deliveryOf("local_store", await load("local_store, debug"))).toBe("required");
    expect(deliveryOf("local_store", await load("local_store, otlp_grpc"))).toBe("best_effort");
    expect(deliveryOf("debug", await load("debug, local_store"))).toBe("best_effort");
  });
});
