import type { ComponentFactory } from "../core/component.ts";
import { fileStorageExtensionFactory } from "../extensions/file_storage/factory.ts";
import { debugExporterFactory } from "../exporters/debug/factory.ts";
import { fileExporterFactory } from "../exporters/file/factory.ts";
import { localStoreExporterFactory } from "../exporters/local_store/factory.ts";
import { otlpGrpcExporterFactory } from "../exporters/otlp_grpc/factory.ts";
import { otlpHttpExporterFactory } from "../exporters/otlp_http/factory.ts";
import { healthCheckExtensionFactory } from "../extensions/health_check/factory.ts";
import { attributesProcessorFactory } from "../processors/attributes/factory.ts";
import { batchProcessorFactory } from "../processors/batch/factory.ts";
import { memoryLimiterProcessorFactory } from "../processors/memory_limiter/factory.ts";
import { resourceProcessorFactory } from "../processors/resource/factory.ts";
import { otlpReceiverFactory } from "../receivers/otlp/factory.ts";

/** Every component type that is compiled in. What lies in processors/ is loaded as a user's would be. */
export const BUILT_IN_FACTORIES: readonly ComponentFactory[] = [
  otlpReceiverFactory,
  memoryLimiterProcessorFactory,
  batchProcessorFactory,
  resourceProcessorFactory,
  attributesProcessorFactory,
  otlpGrpcExporterFactory,
  otlpHttpExporterFactory,
  debugExporterFactory,
  fileExporterFactory,
  localStoreExporterFactory,
  fileStorageExtensionFactory,
  healthCheckExtensionFactory,
];
