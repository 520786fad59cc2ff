import type { LoadResult } from "../../../src/config/load.ts";
import type { Secret } from "../../../src/config/secret.ts";
import type { Case, Verdict } from "./judge.ts";
import type { OurVerdict } from "./ours.ts";
import type { Target } from "./vectors.ts";

/** One value of `exporters.otlp_grpc`, as both sides understood it, in one notation: JSON, durations in nanoseconds. */

interface Asked extends Case {
  readonly target: Target;
}

type Json = Record<string, unknown>;

/** Where a Go field is zero, print-config may leave it out. */
const ZERO: Readonly<Record<Target, unknown>> = { text: "", number: 0, bool: false, duration: 0, endpoint: "" };

export function theirValue({ target }: Asked, { isAccepted, printed, said = "" }: Verdict): string {
  if (!isAccepted) return `refused: ${said}`;
  const exporter = ((printed as Json)["exporters"] as Json)["otlp_grpc"] as Json;
  const headers = exporter["headers"] as readonly { name: string; value: string }[] | null;
  const values: Record<Target, unknown> = {
    text: headers?.find(({ name }) => name === "v")?.value,
    number: (exporter["sending_queue"] as Json | null)?.["num_consumers"],
    bool: exporter["wait_for_ready"],
    duration: exporter["timeout"],
    endpoint: exporter["endpoint"],
  };
  return JSON.stringify(values[target] ?? ZERO[target]);
}

interface OurExporter {
  readonly headers: Readonly<Record<string, Secret>>;
  readonly sending_queue: { readonly num_consumers: number };
  readonly wait_for_ready: boolean;
  readonly timeout: number;
  readonly endpoint: string;
}

export function ourValue({ target }: Asked, { isAccepted, result, said }: OurVerdict): string {
  if (!isAccepted || result === undefined) return `refused: ${said}`;
  const exporter = exporterOf(result);
  const values: Record<Target, unknown> = {
    text: exporter.headers["v"]?.reveal(),
    number: exporter.sending_queue.num_consumers,
    bool: exporter.wait_for_ready,
    duration: exporter.timeout * 1e6,
    endpoint: exporter.endpoint,
  };
  return JSON.stringify(values[target]);
}

function exporterOf(result: LoadResult): OurExporter {
  if (!result.ok) throw new Error("asked for a value of a configuration that was refused");
  return result.configuration.exporters.get("otlp_grpc")?.config as OurExporter;
}
