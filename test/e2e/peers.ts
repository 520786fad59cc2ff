import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Signal } from "../../src/core/signal.ts";
import { freePort, TestProcess } from "../support/processes.ts";

export const repository = fileURLToPath(new URL("../..", import.meta.url));

/** A folder of its own for one test, gone afterwards. */
export class TestFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<TestFolder> {
    return new TestFolder(await mkdtemp(join(tmpdir(), "signalbox-e2e-")));
  }

  async write(name: string, text: string): Promise<string> {
    const path = join(this.path, name);
    await writeFile(path, text);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** The command line as a newcomer calls it, from the sources. */
export function signalbox(args: readonly string[], env: Readonly<Record<string, string>> = {}): TestProcess {
  return new TestProcess(
    process.execPath,
    ["--conditions=signalbox-source", join(repository, "src/main.ts"), ...args],
    {
      cwd: repository,
      env,
    },
  );
}

export interface GatewayAddresses {
  readonly grpc: string;
  readonly http: string;
  readonly store: string;
}

/** A gateway that says that it is up; the addresses are read from its banner. */
export async function startGateway(
  configPath: string,
  env: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<{ gateway: TestProcess } & GatewayAddresses> {
  const gateway = signalbox(["run", "--config", configPath, ...args], env);
  await gateway.until((stdout) => /Signalbox .* listens on[\s\S]*\n\n?$/.test(stdout));
  const addressOf = (what: string): string => {
    const found = new RegExp(`${what} +(\\S+)`).exec(gateway.stdout)?.[1] ?? "";
    return found === "" || found.includes("://") ? found : `http://${found}`;
  };
  return { gateway, grpc: addressOf("OTLP/gRPC"), http: addressOf("OTLP/HTTP"), store: addressOf("store API") };
}

/** collector/local.yaml on free ports with a store of its own. */
export function localEnv(dataFolder: string): Record<string, string> {
  return { OTLP_GRPC_PORT: "0", OTLP_HTTP_PORT: "0", SIGNALBOX_PORT: "0", SIGNALBOX_DATA: dataFolder };
}

/** One request that the capturing backend got. */
export interface Captured {
  readonly signal: Signal;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly json: OtlpJson;
}

/** OTLP/JSON as far as tests look into it, by hand, so that no code of ours reads it for them. */
export interface OtlpJson {
  readonly resourceLogs?: readonly ResourceJson[];
  readonly resourceSpans?: readonly ResourceJson[];
  readonly resourceMetrics?: readonly ResourceJson[];
}

interface ResourceJson {
  readonly resource?: { readonly attributes?: readonly KeyValueJson[] };
  readonly scopeLogs?: readonly { readonly logRecords?: readonly RecordJson[] }[];
  readonly scopeSpans?: readonly { readonly spans?: readonly RecordJson[] }[];
  readonly scopeMetrics?: readonly { readonly metrics?: readonly RecordJson[] }[];
}

export interface RecordJson {
  readonly name?: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly body?: ValueJson;
  readonly severityText?: string;
  readonly attributes?: readonly KeyValueJson[];
}

interface KeyValueJson {
  readonly key: string;
  readonly value?: ValueJson;
}

interface ValueJson {
  readonly stringValue?: string;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
}

/** Every record of a signal with the attributes of its resource, in the order of arrival. */
export function recordsOf(
  requests: readonly Captured[],
  signal: Signal,
): { resource: Map<string, unknown>; record: RecordJson }[] {
  return requests
    .filter((request) => request.signal === signal)
    .flatMap(({ json }) =>
      [...(json.resourceLogs ?? []), ...(json.resourceSpans ?? []), ...(json.resourceMetrics ?? [])].flatMap(
        (group) => {
          const resource = attributesOf(group.resource?.attributes);
          const records = [
            ...(group.scopeLogs ?? []).flatMap((scope) => scope.logRecords ?? []),
            ...(group.scopeSpans ?? []).flatMap((scope) => scope.spans ?? []),
            ...(group.scopeMetrics ?? []).flatMap((scope) => scope.metrics ?? []),
          ];
          return records.map((record) => ({ resource, record }));
        },
      ),
    );
}

export function attributesOf(attributes: readonly KeyValueJson[] = []): Map<string, unknown> {
  return new Map(attributes.map(({ key, value }) => [key, Object.values(value ?? {})[0]]));
}

/** Answers OTLP/HTTP JSON with success and keeps what came. */
export class CapturingBackend implements AsyncDisposable {
  readonly requests: Captured[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const signal = (request.url ?? "").split("/").at(-1) as Signal;
    const json = JSON.parse(Buffer.concat(chunks).toString()) as OtlpJson;
    this.requests.push({ signal, headers: request.headers, json });
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  }

  static async start(): Promise<CapturingBackend> {
    const backend = new CapturingBackend();
    backend.#server.listen(0, "127.0.0.1");
    await once(backend.#server, "listening");
    return backend;
  }

  get url(): string {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? `http://127.0.0.1:${address.port}` : "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** A real Collector that takes OTLP/gRPC and hands everything on to `backendUrl` as OTLP/HTTP JSON. */
export async function startCollector(
  binary: string,
  folder: TestFolder,
  backendUrl: string,
): Promise<{ collector: TestProcess; endpoint: string }> {
  const port = await freePort();
  const config = await folder.write(
    "collector.yaml",
    `
receivers: { otlp: { protocols: { grpc: { endpoint: "127.0.0.1:${port}" } } } }
exporters:
  otlp_http: { endpoint: "${backendUrl}", encoding: json, compression: none, sending_queue: { enabled: false } }
service:
  telemetry: { metrics: { level: none } }
  pipelines:
    logs: { receivers: [otlp], exporters: [otlp_http] }
    traces: { receivers: [otlp], exporters: [otlp_http] }
    metrics: { receivers: [otlp], exporters: [otlp_http] }
`,
  );
  const collector = new TestProcess(binary, ["--config", config]);
  await collector.until((_stdout, stderr) => stderr.includes("Everything is ready"));
  return { collector, endpoint: `127.0.0.1:${port}` };
}
