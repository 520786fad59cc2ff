import type { ExporterFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { otlpGrpcConfig, type OtlpGrpcConfig } from "./config.ts";
import { OtlpGrpcExporter } from "./exporter.ts";

/** Most gRPC servers take messages of 4 MiB, the default of every gRPC library. */
const REQUEST_BYTES_MAX = 3 * 1024 * 1024;

export const otlpGrpcExporterFactory: ExporterFactory<OtlpGrpcConfig> = {
  kind: "exporter",
  type: "otlp_grpc",
  deprecatedTypes: ["otlp"],
  config: otlpGrpcConfig,
  signals: SIGNALS,
  delivery: "required",
  requestBytesMax: REQUEST_BYTES_MAX,
  create: (settings, config) => new OtlpGrpcExporter(settings, config),
};
