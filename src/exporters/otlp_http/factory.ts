import type { ExporterFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { otlpHttpConfig, type OtlpHttpConfig } from "./config.ts";
import { OtlpHttpExporter } from "./exporter.ts";

export const otlpHttpExporterFactory: ExporterFactory<OtlpHttpConfig> = {
  kind: "exporter",
  type: "otlp_http",
  deprecatedTypes: ["otlphttp"],
  config: otlpHttpConfig,
  signals: SIGNALS,
  delivery: "required",
  create: (settings, config) => new OtlpHttpExporter(settings, config),
};
