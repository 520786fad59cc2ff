import { createServer, request, type IncomingMessage, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Signal } from "../../../src/core/signal.ts";
import { TestFolder } from "../../e2e/peers.ts";
import { eventually, freePort, TestProcess } from "../../support/processes.ts";

/** One processor in one pipeline; every case gets every batch of its signal. */
export interface ProcessorCase {
  readonly signal: Signal;
  /** `attributes` or `resource`. */
  readonly type: string;
  /** The processor's block as YAML in one line. */
  readonly yaml: string;
}

export type Headers = Readonly<Record<string, string | readonly string[]>>;

/**
 * A real Collector in which one receiver leads to as many pipelines as there are cases, each with a processor of its own
 * and an exporter to a path of its own. None of them queues, so that a request is answered when all have delivered.
 */
export class ContribCollector implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly #port: number;
  readonly #backend: CaseBackend;
  readonly #cases: readonly ProcessorCase[];

  private constructor(
    stack: AsyncDisposableStack,
    port: number,
    backend: CaseBackend,
    cases: readonly ProcessorCase[],
  ) {
    this.#stack = stack;
    this.#port = port;
    this.#backend = backend;
    this.#cases = cases;
  }

  static async start(binary: string, cases: readonly ProcessorCase[]): Promise<ContribCollector> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await TestFolder.create());
    const backend = stack.use(await CaseBackend.start());
    const port = await freePort();
    const config = await folder.write("collector.yaml", configurationOf(cases, port, backend.url));
    const collector = stack.use(new TestProcess(binary, ["--config", config]));
    await Promise.race([isUp(port), collector.until(() => false)]);
    return new ContribCollector(stack.move(), port, backend, cases);
  }

  /** What each case of this signal made of the request, in the order of the cases. */
  async send(signal: Signal, bytes: Uint8Array, headers: Headers): Promise<ReadonlyMap<ProcessorCase, Uint8Array>> {
    this.#backend.bodies.clear();
    const status = await post(`http://127.0.0.1:${this.#port}/v1/${signal}`, bytes, headers);
    if (status !== 200) throw new Error(`the Collector answered ${status}`);
    const indices = [...this.#cases.keys()].filter((index) => this.#cases[index]!.signal === signal);
    return new Map(
      indices.map((index) => [this.#cases[index]!, this.#backend.bodies.get(`/${index}`) ?? new Uint8Array()]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function configurationOf(cases: readonly ProcessorCase[], port: number, backend: string): string {
  const each = (line: (one: ProcessorCase, index: number) => string): string => cases.map(line).join("\n");
  return `
receivers:
  otlp: { protocols: { http: { endpoint: "127.0.0.1:${port}", include_metadata: true } } }
processors:
${each(({ type, yaml }, index) => `  ${type}/${index}: ${yaml}`)}
exporters:
${each(
  ({ signal }, index) =>
    `  otlp_http/${index}: { ${signal}_endpoint: "${backend}/${index}", compression: none, sending_queue: { enabled: false }, retry_on_failure: { enabled: false } }`,
)}
service:
  telemetry: { metrics: { level: none }, logs: { level: warn } }
  pipelines:
${each(
  ({ signal, type }, index) =>
    `    ${signal}/${index}: { receivers: [otlp], processors: [${type}/${index}], exporters: [otlp_http/${index}] }`,
)}
`;
}

async function isUp(port: number): Promise<void> {
  const ask = async (): Promise<true | undefined> =>
    (await post(`http://127.0.0.1:${port}/v1/logs`, new Uint8Array(), {}).catch(() => 0)) > 0 || undefined;
  await eventually(ask, "the Collector listens");
}

async function post(url: string, body: Uint8Array, headers: Headers): Promise<number> {
  const lists = Object.entries(headers).map(([name, value]) => [name, typeof value === "string" ? value : [...value]]);
  const outgoing = request(url, {
    method: "POST",
    agent: false,
    headers: { ...Object.fromEntries(lists), "content-type": "application/x-protobuf" },
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.statusCode ?? 0;
}

/** Keeps the last body of each path. */
class CaseBackend implements AsyncDisposable {
  readonly bodies = new Map<string, Uint8Array>();
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        this.bodies.set(incoming.url ?? "", Buffer.concat(chunks));
        response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
      });
    });
  }

  static async start(): Promise<CaseBackend> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new CaseBackend(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
