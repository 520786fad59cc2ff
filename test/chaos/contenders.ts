import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ATTEMPT_TIMEOUT_MS } from "./backend.ts";

/** Who can be put through it: the gateway from its sources, and the real Collector. */
export type ContenderName = "signalbox" | "collector";

export interface Ports {
  readonly grpc: number;
  readonly http: number;
  /** Of the backends. */
  readonly backends: readonly [grpc: number, http: number];
}

export interface Contender {
  readonly name: ContenderName;
  readonly queueFolder: string;
  readonly command: readonly [string, ...string[]];
  readonly isReady: (stdout: string, stderr: string) => boolean;
  /** Writes its configuration; another `variant` differs, so that a reload has something to do. */
  writeConfiguration(variant: number): Promise<void>;
}

/** Whose acknowledgement or sync is broken on purpose. */
export type Sabotage = "ack-early" | "no-fsync";

export interface ContenderSettings {
  /** For the configuration. */
  readonly folder: string;
  /** For the queue. */
  readonly queueFolder: string;
  readonly ports: Ports;
}

export interface SignalboxSettings extends ContenderSettings {
  /** The module that is loaded before the gateway, with the file that tells it of trouble; none for the disk as it is. */
  readonly disk: "as it is" | { readonly preload: "bad-disk" | Sabotage; readonly controlPath: string };
}

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** As the names of the destinations that receipts carry. */
export const DESTINATIONS = ["first", "second"] as const;

export function createSignalbox(settings: SignalboxSettings): Contender {
  const { disk, folder } = settings;
  const configPath = join(folder, "gateway.yaml");
  return {
    name: "signalbox",
    queueFolder: settings.queueFolder,
    command: [
      process.execPath,
      "--conditions=signalbox-source",
      ...(disk === "as it is" ? [] : ["--import", preloadUrl(disk)]),
      join(repository, "src/main.ts"),
      "run",
      "--config",
      configPath,
    ],
    isReady: (stdout) => /Signalbox .* listens on[\s\S]*\n\n?$/.test(stdout),
    writeConfiguration: (variant) => {
      const extra = { signalbox: { shutdown_timeout: "3s" } };
      return writeFile(configPath, configurationOf(settings, { grpc: "otlp_grpc", http: "otlp_http" }, variant, extra));
    },
  };
}

function preloadUrl({ preload, controlPath }: Exclude<SignalboxSettings["disk"], "as it is">): string {
  const url = new URL(`preload/${preload}.ts`, import.meta.url);
  url.searchParams.set("control", controlPath);
  return url.href;
}

export function createCollector(settings: ContenderSettings, binary: string): Contender {
  const configPath = join(settings.folder, "collector.yaml");
  return {
    name: "collector",
    queueFolder: settings.queueFolder,
    command: [binary, "--config", configPath],
    isReady: (_stdout, stderr) => stderr.includes("Everything is ready"),
    writeConfiguration: (variant) =>
      writeFile(configPath, configurationOf(settings, { grpc: "otlp", http: "otlphttp" }, variant, {})),
  };
}

/** Small enough that a backend which is away for some seconds fills it. */
const QUEUE_ITEMS = 2_000;

/** Consumers of a queue; a reload changes their number by one. */
const CONSUMERS = 4;
/** Requests to one destination at the same time. */
export const IN_FLIGHT_MAX = CONSUMERS + 1;

/** The same words for both, but for the names that the exporters had in 0.149. */
function configurationOf(
  { queueFolder, ports }: ContenderSettings,
  types: { readonly grpc: string; readonly http: string },
  variant: number,
  extra: object,
): string {
  const fsync = { fsync: true };
  const delivery = {
    timeout: `${ATTEMPT_TIMEOUT_MS}ms`,
    compression: "none",
    tls: { insecure: true },
    retry_on_failure: { initial_interval: "100ms", max_interval: "500ms", max_elapsed_time: "0s" },
    sending_queue: {
      storage: "file_storage",
      sizer: "items",
      queue_size: QUEUE_ITEMS,
      num_consumers: CONSUMERS + (variant % 2),
      batch: { min_size: 50, max_size: 200, flush_timeout: "50ms" },
    },
  };
  const [first, second] = [`${types.grpc}/${DESTINATIONS[0]}`, `${types.http}/${DESTINATIONS[1]}`];
  const endpoint = (port: number): string => `127.0.0.1:${port}`;
  const protocols = { grpc: { endpoint: endpoint(ports.grpc) }, http: { endpoint: endpoint(ports.http) } };
  const configuration = {
    extensions: { file_storage: { directory: queueFolder, create_directory: true, ...fsync } },
    receivers: { otlp: { protocols } },
    exporters: {
      [first]: { ...delivery, endpoint: endpoint(ports.backends[0]) },
      [second]: { ...delivery, endpoint: `http://${endpoint(ports.backends[1])}` },
    },
    service: {
      extensions: ["file_storage"],
      telemetry: { metrics: { level: "none" } },
      pipelines: { logs: { receivers: ["otlp"], exporters: [first, second] } },
    },
    ...extra,
  };
  return JSON.stringify(configuration, null, 2);
}
