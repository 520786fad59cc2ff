import type { ExporterFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { otlpGrpcConfig, type OtlpGrpcConfig } from "./config.ts";
import { OtlpGrpcExporter } from "./exporter.ts";

export const otlpGrpcExporterFactory: ExporterFactory<OtlpGrpcConfig> = {
  kind: "exporter",
  type: "otlp_grpc",
  deprecatedTypes: ["otlp"],
  config: otlpGrpcConfig,
  signals: SIGNALS,
  delivery: "required",
  create: (settings, config) => new OtlpGrpcExporter(settings, config),
};
