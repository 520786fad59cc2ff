import { createBatch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Admission } from "../../src/core/admission.ts";
import type { Problem } from "../../src/config/problem.ts";
import type { Signal } from "../../src/core/signal.ts";
import { loadGateway } from "../../src/service/load.ts";
import { joinSlices } from "../../src/wire/otlp/payload.ts";
import { testSettings } from "../exporters/test-exporter.ts";

/** The problems, each as "path: message". */
export class Refused extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
    this.problems = problems;
  }
}

export type RunProcessor = (bytes: Uint8Array, client?: ClientMetadata) => Promise<Uint8Array>;

/** A processor of one signal, from its YAML as a user writes it, through the loader; throws Refused. */
export async function openProcessor(signal: Signal, type: string, yaml: string): Promise<RunProcessor> {
  const text = `receivers: { otlp: { protocols: { grpc: } } }
processors:
  ${type}: ${yaml}
exporters: { debug: }
service: { pipelines: { ${signal}: { receivers: [otlp], processors: [${type}], exporters: [debug] } } }
`;
  const loaded = await loadGateway({ files: [{ name: "test.yaml", text }], env: {}, processorFolders: [] });
  if (!loaded.ok) throw new Refused(loaded.problems);
  const { factory, config } = loaded.configuration.processors.get(type)!;
  let result = new Uint8Array();
  const processor = factory.create(signal, testSettings(type), config, {
    mutatesData: false,
    consume: async (batch) => void (result = Uint8Array.from(joinSlices(batch.encode()))),
  });
  return async (bytes, client = ClientMetadata.internal) => {
    const batch = createBatch(signal, bytes, { client, arrivalUnixNano: 0n });
    await processor.consume(batch, NO_ADMISSION);
    return result;
  };
}

/** These processors hand the admission on and never ask it anything. */
export const NO_ADMISSION = new Proxy<Partial<Admission>>(
  {},
  { get: (_target, name) => assertUnused(name) },
) as Admission;

function assertUnused(name: string | symbol): never {
  throw new Error(`the processor asked its admission for ${String(name)}`);
}
