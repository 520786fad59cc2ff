import type { ExporterFactory, SignalProblem } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import type { Signal } from "../../core/signal.ts";
import { otlpHttpConfig, type OtlpHttpConfig } from "./config.ts";
import { OtlpHttpExporter } from "./exporter.ts";

export const otlpHttpExporterFactory: ExporterFactory<OtlpHttpConfig> = {
  kind: "exporter",
  type: "otlp_http",
  deprecatedTypes: ["otlphttp"],
  config: otlpHttpConfig,
  signals: SIGNALS,
  // Without it the Collector does not start either: what is accepted would have nowhere to go.
  signalProblems: (signal, config) =>
    config.endpoint === undefined && config[`${signal}_endpoint`] === undefined ? [missingEndpoint(signal)] : [],
  delivery: "required",
  create: (settings, config) => new OtlpHttpExporter(settings, config),
};

function missingEndpoint(signal: Signal): SignalProblem {
  return {
    path: [],
    message: `either endpoint or ${signal}_endpoint must be specified, because a pipeline of ${signal} sends here`,
    fix: `write endpoint: "http://localhost:4318" or ${signal}_endpoint, or leave it out of pipelines of ${signal}`,
  };
}
