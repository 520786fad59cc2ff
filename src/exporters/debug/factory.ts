import type { ExporterFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { debugConfig, type DebugConfig } from "./config.ts";
import { DebugExporter } from "./exporter.ts";
import { StreamSink, type TextSink } from "./text-sink.ts";

export type OpenSink = (path: "stdout" | "stderr") => TextSink;

/** `openSink` is where the text goes: the process's streams, or what a test looks at. */
export function createDebugExporterFactory(openSink: OpenSink): ExporterFactory<DebugConfig> {
  return {
    kind: "exporter",
    type: "debug",
    config: debugConfig,
    signals: SIGNALS,
    delivery: "best_effort",
    create: (settings, config) => {
      const paths = config.output_paths ?? ["stdout"];
      return new DebugExporter(settings, config, config.use_internal_logger ? undefined : paths.map(openSink));
    },
  };
}

export const debugExporterFactory = createDebugExporterFactory(
  (path) => new StreamSink(path, path === "stdout" ? process.stdout : process.stderr),
);
