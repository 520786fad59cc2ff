/**
 * The list: every component that the gateway brings, with the least configuration that lets it run here, and what the
 * contract needs to know of it. A factory without a place fails components.test.ts.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { ComponentFactory, ProcessorFactory } from "../../src/core/component.ts";
import { OWN_PROCESSORS_FOLDER } from "../../src/core/package-files.ts";
import type { Signal } from "../../src/core/signal.ts";
import { createDebugExporterFactory, debugExporterFactory } from "../../src/exporters/debug/factory.ts";
import { fileExporterFactory } from "../../src/exporters/file/factory.ts";
import { localStoreExporterFactory } from "../../src/exporters/local_store/factory.ts";
import { otlpGrpcExporterFactory } from "../../src/exporters/otlp_grpc/factory.ts";
import { otlpHttpExporterFactory } from "../../src/exporters/otlp_http/factory.ts";
import { fileStorageExtensionFactory } from "../../src/extensions/file_storage/factory.ts";
import { healthCheckExtensionFactory } from "../../src/extensions/health_check/factory.ts";
import { attributesProcessorFactory } from "../../src/processors/attributes/factory.ts";
import { batchProcessorFactory } from "../../src/processors/batch/factory.ts";
import { memoryLimiterProcessorFactory } from "../../src/processors/memory_limiter/factory.ts";
import { resourceProcessorFactory } from "../../src/processors/resource/factory.ts";
import { otlpReceiverFactory } from "../../src/receivers/otlp/factory.ts";
import { BUILT_IN_FACTORIES } from "../../src/service/built-in.ts";
import { loadProcessors } from "../../src/service/processor-loader.ts";
import { decodeJsonRequest } from "../../src/wire/otlp/json-decode.ts";
import { folderBackend, openGrpcBackend, openHttpBackend } from "./backends.ts";
import type { BackendMood, ComponentCase, ExporterCase, ReceiverCase, Unstartable } from "./contract.ts";
import { sendGrpc, sendHttp } from "./senders.ts";
import type { Stage } from "./stage.ts";

const hereFolder = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Processors as users write them: the package's own, and those of the tests. */
export const OWN_PROCESSORS = await loadProcessors([OWN_PROCESSORS_FOLDER]);
const TEST_PROCESSORS = await loadProcessors([hereFolder("processors"), hereFolder("../testdata/processors")]);

/** Every factory that needs a place in the list. */
export const FACTORIES: readonly ComponentFactory[] = [...BUILT_IN_FACTORIES, ...OWN_PROCESSORS.factories];

/** A port that somebody else listens on, until the stage ends. */
async function busyPort(stage: Stage): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.onEnd(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function otlpReceiver(variant: string, protocols: (port: number) => object, send: ReceiverCase["send"]): ComponentCase {
  return {
    kind: "receiver",
    name: `receivers/otlp, ${variant}`,
    factory: otlpReceiverFactory,
    config: () => ({ protocols: protocols(0) }),
    // The other door comes up first, and must not stay.
    unstartable: async (stage) => [
      {
        config: { protocols: { grpc: { endpoint: "127.0.0.1:0" }, ...protocols(await busyPort(stage)) } },
        message: /receivers\.otlp: 127\.0\.0\.1:\d+ is in use .*set protocols\.\w+\.endpoint to another port/,
      },
    ],
    send,
  };
}

const ALL_MOODS: readonly BackendMood[] = ["takes", "refuses", "garbles", "breaks", "hangs"];

function missingAuthority(endpoint: string) {
  return async (stage: Stage): Promise<readonly Unstartable[]> => [
    {
      config: { endpoint, tls: { ca_file: `${stage.newFolder()}/ca.pem` } },
      message: /tls\.ca_file.*\/ca\.pem.*check the path/s,
    },
    { config: { endpoint, tls: { ca_pem: "no certificate" } }, message: /tls\.ca_pem.*BEGIN CERTIFICATE/s },
  ];
}

function debugCase(variant: string, parts: Pick<ExporterCase, "factory" | "open">): ComponentCase {
  return {
    kind: "exporter",
    name: `exporters/debug, ${variant}`,
    ...parts,
    moods: ["takes"],
    unstartable: "opens nothing at its start",
  };
}

function fileCase(variant: string, more: object = {}): ComponentCase {
  return {
    kind: "exporter",
    name: `exporters/file${variant}`,
    factory: fileExporterFactory,
    open: async (stage) => {
      const folder = madeFolder(stage);
      return { config: { path: `${folder}/telemetry.jsonl`, ...more }, backend: folderBackend(folder) };
    },
    moods: ["takes"],
    unstartable: async (stage) => [
      {
        config: { path: `${stage.newFolder()}/telemetry.jsonl`, ...more },
        message: /exporters\.file.*telemetry\.jsonl.*create_directory: true/s,
      },
      { config: { path: madeFolder(stage), ...more }, message: /exporters\.file.*folder/s },
    ],
  };
}

/** A file where a folder would have to be. */
function madeFile(stage: Stage): string {
  const file = stage.newFolder();
  writeFileSync(file, "");
  return file;
}

function madeFolder(stage: Stage): string {
  const folder = stage.newFolder();
  mkdirSync(folder);
  return folder;
}

/** Lines of the sinks that debug exporters write to, one sink for each exporter of the case. */
const shown: string[] = [];
const collectingFactory = createDebugExporterFactory(() => ({
  open: () => undefined,
  write: (text) => void shown.push(text),
  close: () => undefined,
}));

/** No machine, no worker, no health check: nothing that any processor of ours looks for. */
function plainRequest(signal: Signal): Uint8Array {
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] };
  const point = { timeUnixNano: "1", asInt: "1" };
  const requests = {
    logs: { resourceLogs: [{ resource, scopeLogs: [{ logRecords: [{ body: { stringValue: "sold" } }] }] }] },
    traces: { resourceSpans: [{ resource, scopeSpans: [{ spans: [{ name: "sell" }] }] }] },
    metrics: {
      resourceMetrics: [{ resource, scopeMetrics: [{ metrics: [{ name: "m", gauge: { dataPoints: [point] } }] }] }],
    },
  };
  return decodeJsonRequest(signal, JSON.stringify(requests[signal])).bytes;
}

const ABSENT_KEY = [{ key: "no.such.key", action: "delete" }];
const NO_START = "does nothing at its start";

function userProcessor(type: string, more: object = {}): ComponentCase {
  const factory = [...OWN_PROCESSORS.factories, ...TEST_PROCESSORS.factories].find((one) => one.type === type);
  if (factory === undefined) throw new Error(`no processor of the type ${type} was loaded`);
  return {
    kind: "processor",
    name: `processors/${type}`,
    factory,
    config: {},
    unstartable: NO_START,
    idle: { config: {}, request: plainRequest },
    ...more,
  };
}

function editor(factory: ProcessorFactory, key: string): ComponentCase {
  return {
    kind: "processor",
    name: `processors/${factory.type}`,
    factory,
    config: { [key]: [{ key: "deployment.environment.name", value: "test", action: "upsert" }] },
    unstartable: NO_START,
    idle: { config: { [key]: ABSENT_KEY }, request: plainRequest },
  };
}

export const COMPONENT_CASES: readonly ComponentCase[] = [
  otlpReceiver("gRPC", (port) => ({ grpc: { endpoint: `127.0.0.1:${port}` } }), sendGrpc),
  otlpReceiver("gRPC by grpc_js", (port) => ({ grpc: { endpoint: `127.0.0.1:${port}`, engine: "grpc_js" } }), sendGrpc),
  otlpReceiver("HTTP", (port) => ({ http: { endpoint: `127.0.0.1:${port}` } }), sendHttp),
  {
    kind: "processor",
    name: "processors/memory_limiter",
    factory: memoryLimiterProcessorFactory,
    config: { check_interval: "1s", limit_mib: 100_000 },
    unstartable: "measures its own process, which cannot fail",
  },
  {
    kind: "processor",
    name: "processors/batch",
    factory: batchProcessorFactory,
    config: {},
    unstartable: NO_START,
  },
  editor(resourceProcessorFactory, "attributes"),
  editor(attributesProcessorFactory, "actions"),
  userProcessor("worker_identity"),
  userProcessor("quiet_health_checks"),
  userProcessor("patient", {
    endless: { wait: "for_ever" },
    unstartable: async () => [
      {
        config: { start: "throws" },
        message: /processors\.patient: start\(\) threw .*write it beside the processor \(.*patient\.ts/,
      },
    ],
  }),
  {
    kind: "exporter",
    name: "exporters/otlp_grpc",
    factory: otlpGrpcExporterFactory,
    open: async (stage) => {
      const backend = await openGrpcBackend(stage);
      return { config: { endpoint: backend.endpoint, tls: { insecure: true } }, backend };
    },
    moods: ALL_MOODS,
    unstartable: missingAuthority("127.0.0.1:1"),
  },
  {
    kind: "exporter",
    name: "exporters/otlp_http",
    factory: otlpHttpExporterFactory,
    open: async (stage) => {
      const backend = await openHttpBackend(stage);
      return { config: { endpoint: backend.endpoint }, backend };
    },
    moods: ALL_MOODS,
    unstartable: missingAuthority("https://127.0.0.1:1"),
  },
  fileCase(""),
  fileCase(", zstd and rotation", { compression: "zstd", rotation: {} }),
  debugCase("own log", {
    factory: debugExporterFactory,
    open: async (stage) => ({
      config: { use_internal_logger: true },
      backend: { mood: "takes", arrived: () => stage.logged.length },
    }),
  }),
  debugCase("stdout", {
    factory: collectingFactory,
    open: async () => {
      const before = shown.length;
      return { config: { verbosity: "detailed" }, backend: { mood: "takes", arrived: () => shown.length - before } };
    },
  }),
  {
    kind: "exporter",
    name: "exporters/local_store",
    factory: localStoreExporterFactory,
    open: async (stage) => {
      const directory = stage.newFolder();
      return { config: { directory, endpoint: "127.0.0.1:0" }, backend: folderBackend(directory) };
    },
    moods: ["takes"],
    unstartable: async (stage) => {
      const directory = madeFolder(stage);
      const endpoint = `127.0.0.1:${await busyPort(stage)}`;
      return [
        { config: { directory, endpoint }, message: /exporters\.local_store.* is in use .*endpoint/ },
        {
          config: { directory: `${madeFile(stage)}/store`, endpoint: "127.0.0.1:0" },
          message: /exporters\.local_store: .*\/store/,
        },
      ];
    },
  },
  {
    kind: "extension",
    name: "extensions/file_storage",
    factory: fileStorageExtensionFactory,
    config: (stage) => ({ directory: stage.newFolder(), create_directory: true }),
    unstartable: async (stage) => [
      { config: { directory: stage.newFolder() }, message: /extensions\.file_storage.*create_directory: true/s },
      {
        config: { directory: `${madeFile(stage)}/queue`, create_directory: true },
        message: /extensions\.file_storage.*this user may write/s,
      },
    ],
  },
  {
    kind: "extension",
    name: "extensions/health_check",
    factory: healthCheckExtensionFactory,
    config: () => ({ endpoint: "127.0.0.1:0" }),
    unstartable: async (stage) => {
      const port = await busyPort(stage);
      return [{ config: { endpoint: `127.0.0.1:${port}` }, message: /extensions\.health_check: .*in use/s }];
    },
  },
];
