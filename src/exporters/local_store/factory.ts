import type { ExporterFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { localStoreConfig } from "./config.ts";
import type { LocalStoreConfig } from "./config.ts";
import { LocalStoreExporter } from "./exporter.ts";

export const localStoreExporterFactory: ExporterFactory<LocalStoreConfig> = {
  kind: "exporter",
  type: "local_store",
  config: localStoreConfig,
  signals: SIGNALS,
  delivery: "secondary",
  isExclusive: true,
  changeableKeys: { timeout: "at once" },
  create: (settings, config) => new LocalStoreExporter(settings, config),
};
