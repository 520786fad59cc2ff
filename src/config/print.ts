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

/**
 * The configuration as one would write it, defaults filled in, durations and sizes with their units, secrets as
 * [REDACTED]: plain values for a YAML or JSON printer.
 */
export function redactedConfiguration(configuration: Configuration): Record<string, unknown> {
  const { receivers, processors, exporters, connectors, extensions, pipelines, service, signalbox } = configuration;
  const sections = { receivers, processors, exporters, connectors, extensions };
  const printed = Object.entries(sections).map(([name, section]) => [name, printSection(section)] as const);
  return {
    ...Object.fromEntries(printed.filter(([, section]) => Object.keys(section).length > 0)),
    service: {
      extensions: [...service.extensions],
      pipelines: Object.fromEntries(Array.from(pipelines, ([id, pipeline]) => [id, printPipeline(pipeline)])),
      telemetry: print(layersOf(telemetryConfig), service.telemetry),
    },
    signalbox: print(layersOf(signalboxConfig), signalbox),
  };
}

function printSection(section: ReadonlyMap<string, Printable>): Record<string, unknown> {
  return Object.fromEntries(
    Array.from(section, ([id, { factory, config }]) => [id, print(layersOf(factory.config), config)]),
  );
}

function printPipeline({ receivers, processors, exporters }: ConfiguredPipeline): Record<string, unknown> {
  return { receivers: [...receivers], processors: [...processors], exporters: [...exporters] };
}

function print(layers: Layers, value: unknown): unknown {
  const notes = notesAt(layers);
  if (value instanceof Secret) return REDACTED;
  if (value instanceof Double) return value.value;
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) {
    if (notes.secret === true) return REDACTED;
    return typeof value === "string" ? maskUserInfo(value) : (notes.print?.(value) ?? value);
  }
  const child = (inner: unknown, segment: string | number): unknown =>
    print(childrenAt(layers, segment).flatMap(layersOf), inner);
  if (Array.isArray(value)) return value.map((item: unknown, index) => child(item, index));
  const entries = value instanceof Map ? value : Object.entries(value);
  return Object.fromEntries(Array.from(entries, ([key, inner]) => [key, child(inner, String(key))]));
}
