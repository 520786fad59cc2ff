import type { ExporterFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { fileConfig, type FileConfig } from "./config.ts";
import { FileExporter } from "./exporter.ts";

export const fileExporterFactory: ExporterFactory<FileConfig> = {
  kind: "exporter",
  type: "file",
  config: fileConfig,
  signals: SIGNALS,
  delivery: "required",
  create: (settings, config) => new FileExporter(settings, config),
};
