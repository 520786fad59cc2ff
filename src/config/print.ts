import type { z } from "zod";
import { Double } from "../wire/otlp/types.ts";
import type { Configuration, ConfiguredPipeline } from "./configuration.ts";
import { maskUserInfo } from "./found.ts";
import { childrenAt, layersOf, notesAt } from "./schema-walk.ts";
import { REDACTED, Secret } from "./secret.ts";
import { signalboxConfig } from "./signalbox.ts";
import { telemetryConfig } from "./telemetry.ts";

interface Printable {
  readonly factory: { readonly config: z.core.$ZodType };
  readonly config: unknown;
}

type Layers = readonly z.core.$ZodType[];

export type PrintMode = "redacted" | "unredacted";

/**
 * The configuration as one would write it, defaults filled in, durations and sizes with their units: plain values for a
 * YAML or JSON printer. Secrets are [REDACTED], unless someone asks to see them.
 */
export function printableConfiguration(
  configuration: Configuration,
  mode: PrintMode = "redacted",
): Record<string, unknown> {
  return new Printer(mode === "unredacted").configuration(configuration);
}

class Printer {
  readonly #isUnredacted: boolean;

  constructor(isUnredacted: boolean) {
    this.#isUnredacted = isUnredacted;
  }

  configuration(configuration: Configuration): Record<string, unknown> {
    const { receivers, processors, exporters, connectors, extensions, pipelines, service, signalbox } = configuration;
    const sections = { receivers, processors, exporters, connectors, extensions };
    const printed = Object.entries(sections).map(([name, section]) => [name, this.#section(section)] as const);
    return {
      ...Object.fromEntries(printed.filter(([, section]) => Object.keys(section).length > 0)),
      service: {
        extensions: [...service.extensions],
        pipelines: Object.fromEntries(Array.from(pipelines, ([id, pipeline]) => [id, printPipeline(pipeline)])),
        telemetry: this.#print(layersOf(telemetryConfig), service.telemetry),
      },
      signalbox: this.#print(layersOf(signalboxConfig), signalbox),
    };
  }

  #section(section: ReadonlyMap<string, Printable>): Record<string, unknown> {
    return Object.fromEntries(
      Array.from(section, ([id, { factory, config }]) => [id, this.#print(layersOf(factory.config), config)]),
    );
  }

  #print(layers: Layers, value: unknown): unknown {
    if (value instanceof Secret) return this.#isUnredacted ? value.reveal() : REDACTED;
    if (value instanceof Double) return value.value;
    if (typeof value === "bigint") return String(value);
    if (typeof value !== "object" || value === null) return this.#scalar(layers, value);
    const child = (inner: unknown, segment: string | number): unknown =>
      this.#print(childrenAt(layers, segment).flatMap(layersOf), inner);
    if (Array.isArray(value)) return value.map((item: unknown, index) => child(item, index));
    const entries = value instanceof Map ? value : Object.entries(value);
    return Object.fromEntries(Array.from(entries, ([key, inner]) => [key, child(inner, String(key))]));
  }

  #scalar(layers: Layers, value: unknown): unknown {
    const notes = notesAt(layers);
    if (notes.secret === true && !this.#isUnredacted) return REDACTED;
    if (typeof value !== "string") return notes.print?.(value) ?? value;
    return this.#isUnredacted ? value : maskUserInfo(value);
  }
}

function printPipeline({ receivers, processors, exporters }: ConfiguredPipeline): Record<string, unknown> {
  return { receivers: [...receivers], processors: [...processors], exporters: [...exporters] };
}
