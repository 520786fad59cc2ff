/**
 * One receiver, several pipelines and exporters, through the real service and real sockets: who gets a private copy, who
 * gets what when another fails, and what a sender is told.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { LedgerSnapshot } from "../../src/queue/ledger.ts";
import { deliveryOf } from "../../src/service/destinations.ts";
import { loadGateway } from "../../src/service/load.ts";
import { Service } from "../../src/service/service.ts";
import { recordingLogger } from "../exporters/test-exporter.ts";
import { answerWith, HttpBackend } from "../exporters/otlp_http/http-backend.ts";
import { decodeReference } from "../wire/otlp/reference.ts";
import { TestClock } from "../support/test-clock.ts";
import { batchOf, oneRequest } from "./requests.ts";
import { sendHttp } from "./senders.ts";
import type { SendOutcome } from "./contract.ts";
import { until } from "./stage.ts";

const LOGS = oneRequest("logs");
const PROCESSORS = fileURLToPath(new URL("processors", import.meta.url));
const ITEMS = batchOf("logs", LOGS).itemCount;
const BATCH_PROTOTYPE = Object.getPrototypeOf(batchOf("logs", LOGS)) as ReturnType<typeof batchOf>;

afterEach(() => void vi.restoreAllMocks());

interface Topology {
  /** Their backends are made here: `a` is exporter `otlp_http/a`, with what more its block says. */
  readonly exporters: Readonly<Record<string, string>>;
  readonly processors?: string;
  /** By the part behind the slash: what stands between receivers and exporters, and to whom it goes. */
  readonly pipelines: Readonly<
    Record<string, { readonly processors?: readonly string[]; readonly to: readonly string[] }>
  >;
}

/** A gateway whose time stands still, with a backend for each of its exporters. */
class Gateway implements AsyncDisposable {
  readonly clock = new TestClock(Date.now());
  readonly backends: ReadonlyMap<string, HttpBackend>;
  readonly service: Service;

  private constructor(backends: ReadonlyMap<string, HttpBackend>, create: (clock: TestClock) => Service) {
    this.backends = backends;
    this.service = create(this.clock);
  }

  static async start(topology: Topology): Promise<Gateway> {
    const names = Object.keys(topology.exporters);
    const backends = new Map(await Promise.all(names.map(async (name) => [name, await HttpBackend.listen()] as const)));
    const text = yamlOf(topology, backends);
    const loaded = await loadGateway({
      files: [{ name: "fan-out.yaml", text }],
      env: {},
      processorFolders: [PROCESSORS],
    });
    if (!loaded.ok) throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
    const { configuration } = loaded;
    const logger = recordingLogger();
    const gateway = new Gateway(
      backends,
      (clock) => new Service({ configuration, logger, clock, onFatal: () => undefined }),
    );
    await gateway.service.start();
    return gateway;
  }

  send(): Promise<SendOutcome> {
    return sendHttp({ listening: this.service.listening, signal: "logs", bytes: LOGS });
  }

  /** Sends, and moves the time on until the sender has its answer. */
  async sendPatiently(): Promise<SendOutcome> {
    const answers: SendOutcome[] = [];
    void this.send().then((outcome) => answers.push(outcome));
    while (answers.length === 0) {
      await this.clock.advance(100);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return answers[0]!;
  }

  backend(name: string): HttpBackend {
    return this.backends.get(name)!;
  }

  /** Request bodies that a backend answered with a success. */
  async got(name: string, count: number): Promise<readonly Buffer[]> {
    const { posts } = this.backend(name);
    await until(
      () => posts.length >= count,
      () => `${count} requests at ${name}, where ${posts.length} are`,
    );
    return posts.map(({ body }) => body);
  }

  line(name: string): LedgerSnapshot["destinations"][number] {
    const id = `otlp_http/${name}`;
    return this.service.ledger.destinations.find(({ destination }) => destination === id)!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const down = this.service.shutdown();
    await this.clock.advance(60_000);
    await down;
    for (const backend of this.backends.values()) await backend.close();
  }
}

function yamlOf(
  { exporters, processors = "", pipelines }: Topology,
  backends: ReadonlyMap<string, HttpBackend>,
): string {
  const exporterLines = Object.entries(exporters).map(
    ([name, more]) => `  otlp_http/${name}: { endpoint: "${backends.get(name)!.url}", compression: none, ${more} }`,
  );
  const pipelineLines = Object.entries(pipelines).map(([name, { processors: between = [], to }]) => {
    const targets = to.map((target) => `otlp_http/${target}`).join(", ");
    return `    logs/${name}: { receivers: [otlp], processors: [${between.join(", ")}], exporters: [${targets}] }`;
  });
  return `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
processors:
  memory_limiter: { check_interval: 1s, limit_mib: 100000 }
  ${processors}
exporters:
${exporterLines.join("\n")}
service:
  telemetry: { metrics: { level: none } }
  pipelines:
${pipelineLines.join("\n")}
`;
}

const WRITERS = `resource/red: { attributes: [{ key: colour, value: red, action: upsert }] }
  resource/blue: { attributes: [{ key: colour, value: blue, action: upsert }] }`;

function coloursIn(body: Buffer): unknown {
  const { resourceLogs } = decodeReference("logs", body) as {
    resourceLogs: { resource: { attributes: { key: string; value: { stringValue: string } }[] } }[];
  };
  return resourceLogs.map(({ resource }) => resource.attributes.find(({ key }) => key === "colour")?.value.stringValue);
}

describe("private copies", () => {
  const cases = [
    {
      what: "two pipelines that read",
      pipelines: { 1: { to: ["a"] }, 2: { processors: ["memory_limiter"], to: ["b"] } },
      clones: 0,
    },
    {
      what: "a reader and a writer",
      pipelines: { 1: { to: ["a"] }, 2: { processors: ["resource/red"], to: ["b"] } },
      clones: 1,
    },
    {
      what: "two writers, the last of which has the original",
      pipelines: { 1: { processors: ["resource/red"], to: ["a"] }, 2: { processors: ["resource/blue"], to: ["b"] } },
      clones: 1,
    },
    {
      what: "one writer with two exporters",
      pipelines: { 1: { processors: ["resource/red"], to: ["a", "b"] } },
      clones: 0,
    },
    {
      what: "a reader and two writers",
      pipelines: {
        1: { processors: ["resource/red"], to: ["a"] },
        2: { processors: ["memory_limiter"], to: ["c"] },
        3: { processors: ["resource/blue"], to: ["b"] },
      },
      clones: 2,
    },
  ] satisfies { what: string; pipelines: Topology["pipelines"]; clones: number }[];

  test.for(cases)("are made for writers alone: $what, $clones", async ({ pipelines, clones }) => {
    const names = [...new Set(Object.values(pipelines).flatMap(({ to }) => to))];
    const exporters = Object.fromEntries(names.map((name) => [name, ""]));
    await using gateway = await Gateway.start({ exporters, processors: WRITERS, pipelines });
    const clone = vi.spyOn(BATCH_PROTOTYPE, "clone");

    expect([await gateway.send(), await gateway.send()]).toEqual(["accepted", "accepted"]);

    expect(clone).toHaveBeenCalledTimes(2 * clones);
    for (const { processors: [processor] = [], to } of Object.values<Topology["pipelines"][string]>(pipelines)) {
      for (const name of to) {
        for (const body of await gateway.got(name, 2)) {
          if (processor?.startsWith("resource/") !== true) expect(body).toEqual(Buffer.from(LOGS));
          else expect(coloursIn(body)).toEqual([processor.slice("resource/".length)]);
        }
      }
    }
  });
});

const AT_ONCE = "retry_on_failure: { enabled: false }";

describe("a failure at one exporter", () => {
  test("stops nobody else's delivery: the others have the batch while it is away, and it gets it when it is back", async () => {
    await using gateway = await Gateway.start({
      exporters: { a: "", b: "", c: "" },
      pipelines: { 1: { to: ["a", "b"] }, 2: { to: ["c"] } },
    });
    gateway.backend("a").answer = answerWith(503);
    expect(await gateway.send()).toBe("accepted");
    for (const name of ["b", "c"]) expect(await gateway.got(name, 1)).toEqual([Buffer.from(LOGS)]);
    await gateway.got("a", 1);
    gateway.backend("a").answer = answerWith(200);
    await gateway.clock.advance(60_000);
    await gateway.got("a", 2);
    await until(
      () => gateway.line("a").sent === ITEMS,
      () => "the batch at a, counted",
    );
    expect(gateway.backend("b").posts).toHaveLength(1);
    expect(gateway.backend("c").posts).toHaveLength(1);
  });

  test("for good costs its own copy and no other", async () => {
    await using gateway = await Gateway.start({
      exporters: { a: AT_ONCE, b: AT_ONCE },
      pipelines: { 1: { to: ["a"] }, 2: { to: ["b"] } },
    });
    gateway.backend("a").answer = answerWith(400);
    expect(await gateway.send()).toBe("accepted");
    await gateway.got("b", 1);
    await until(
      () => gateway.line("a").rejected === ITEMS,
      () => "the batch rejected at a",
    );
    expect(gateway.line("b")).toMatchObject({ admitted: ITEMS, sent: ITEMS, rejected: 0 });
  });

  test("does not hold up the requests that follow, at those that work", async () => {
    await using gateway = await Gateway.start({
      exporters: { a: "", b: "" },
      pipelines: { 1: { to: ["a", "b"] } },
    });
    gateway.backend("a").answer = () => undefined;
    for (const _ of Array.from({ length: 20 })) expect(await gateway.send()).toBe("accepted");
    await gateway.got("b", 20);
  });

  test("of a processor refuses the request, and leaves nothing in the queue of any pipeline", async () => {
    await using gateway = await Gateway.start({
      exporters: { a: "", b: "" },
      processors: "breaks:",
      pipelines: { 1: { to: ["a"] }, 2: { processors: ["breaks"], to: ["b"] } },
    });
    expect(await gateway.send()).toBe("permanent");
    for (const name of ["a", "b"]) expect(gateway.line(name)).toMatchObject({ admitted: 0, queued: 0, in_flight: 0 });
    expect(gateway.service.ledger.receivers).toMatchObject([{ received: ITEMS, accepted: 0, failed: ITEMS }]);
  });
});

const FULL_AFTER_ONE = "sending_queue: { queue_size: 1, num_consumers: 1";

describe("a destination whose queue is full", () => {
  const start = async (delivery: string): Promise<Gateway> => {
    const gateway = await Gateway.start({
      exporters: { a: `${FULL_AFTER_ONE}${delivery} }`, b: "" },
      pipelines: { 1: { to: ["a"] }, 2: { to: ["b"] } },
    });
    gateway.backend("a").answer = () => undefined;
    expect(await gateway.send()).toBe("accepted");
    await gateway.got("a", 1);
    await gateway.got("b", 1);
    return gateway;
  };

  test("required: refuses the sender for now, and nobody else has the batch", async () => {
    await using gateway = await start("");
    expect(await gateway.sendPatiently()).toBe("retryable");
    expect(gateway.line("b")).toMatchObject({ admitted: ITEMS, sent: ITEMS });
    expect(gateway.backend("b").posts).toHaveLength(1);
    expect(gateway.service.ledger.receivers).toMatchObject([{ received: 2 * ITEMS, accepted: ITEMS, refused: ITEMS }]);
  });

  test("required, drop_oldest: delays nobody", async () => {
    await using gateway = await start(", overflow: drop_oldest");
    expect(await gateway.send()).toBe("accepted");
    await gateway.got("b", 2);
  });

  test("best effort: drops its own copy, counted, and the others have theirs", async () => {
    await using gateway = await start(", required: false");
    expect(await gateway.send()).toBe("accepted");
    await gateway.got("b", 2);
    const { evicted } = gateway.line("a");
    expect(Object.values(evicted).reduce((sum, items) => sum + items, 0)).toBe(ITEMS);
  });
});

describe("whether a destination is waited for", () => {
  const cases = [
    { exporters: "otlp_http: { endpoint: 'http://127.0.0.1:1' }", delivery: { otlp_http: "required" } },
    { exporters: "local_store:", delivery: { local_store: "required" } },
    {
      exporters: "otlp_http: { endpoint: 'http://127.0.0.1:1' }, local_store:",
      delivery: { otlp_http: "required", local_store: "best_effort" },
    },
    {
      exporters: "otlp_http: { endpoint: 'http://127.0.0.1:1', sending_queue: { required: false } }, local_store:",
      delivery: { otlp_http: "best_effort", local_store: "required" },
    },
    { exporters: "debug:, local_store:", delivery: { debug: "best_effort", local_store: "required" } },
    {
      exporters: "otlp_http: { endpoint: 'http://127.0.0.1:1' }, local_store: { sending_queue: { required: true } }",
      delivery: { otlp_http: "required", local_store: "required" },
    },
  ] satisfies { exporters: string; delivery: Record<string, string> }[];

  test.for(cases)("is as written, else by its kind and by who stands beside it: $delivery", async (one) => {
    const text = `
receivers: { otlp: { protocols: { grpc: } } }
exporters: { ${one.exporters} }
service: { pipelines: { logs: { receivers: [otlp], exporters: [${Object.keys(one.delivery).join(", ")}] } } }
`;
    const loaded = await loadGateway({ files: [{ name: "delivery.yaml", text }], env: {}, processorFolders: [] });
    if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
    const names = Object.keys(one.delivery);
    expect(Object.fromEntries(names.map((name) => [name, deliveryOf(name, loaded.configuration)]))).toEqual(
      one.delivery,
    );
  });
});

describe("an exporter with sending_queue disabled", () => {
  test("has a batch twice when another destination refuses it and the sender comes again: src/queue/README.md says so", async () => {
    await using gateway = await Gateway.start({
      exporters: { a: "sending_queue: { enabled: false }", b: `sending_queue: { enabled: false }, ${AT_ONCE}` },
      pipelines: { 1: { to: ["a"] }, 2: { to: ["b"] } },
    });
    gateway.backend("b").answer = answerWith(503);
    expect(await gateway.send()).toBe("retryable");
    gateway.backend("b").answer = answerWith(200);
    expect(await gateway.send()).toBe("accepted");
    expect(await gateway.got("a", 2)).toHaveLength(2);
    const readme = readFileSync(new URL("../../src/queue/README.md", import.meta.url), "utf8");
    expect(readme).toContain("at-least-once: what it took stays taken when another destination refuses");
  });

  test("does not make one with a queue send what was refused", async () => {
    await using gateway = await Gateway.start({
      exporters: { direct: `sending_queue: { enabled: false }, ${AT_ONCE}`, queued: "" },
      pipelines: { 1: { to: ["direct"] }, 2: { to: ["queued"] } },
    });
    gateway.backend("direct").answer = answerWith(503);
    expect(await gateway.send()).toBe("retryable");
    expect(gateway.line("queued")).toMatchObject({ admitted: 0, queued: 0, in_flight: 0 });
    gateway.backend("direct").answer = answerWith(200);
    expect(await gateway.send()).toBe("accepted");
    expect(await gateway.got("queued", 1)).toHaveLength(1);
  });

  test("is tried once where its retries are off, and the sender hears what it said", async () => {
    await using gateway = await Gateway.start({
      exporters: { a: `sending_queue: { enabled: false }, ${AT_ONCE}` },
      pipelines: { 1: { to: ["a"] } },
    });
    gateway.backend("a").answer = answerWith(400);
    expect(await gateway.send()).toBe("permanent");
    await gateway.clock.advance(60_000);
    expect(gateway.backend("a").posts).toHaveLength(1);
  });
});
