import { existsSync, readFileSync, writeFileSync } from "node:fs";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import { startGateway, TestFolder } from "../../e2e/peers.ts";
import type { TestProcess } from "../../support/processes.ts";
import { BAD_SENDERS, GROWTH_MIB } from "./bad-senders-table.ts";
import type { DoorPorts } from "./bad-senders-table.ts";
import { postHttp } from "./otlp-clients.ts";

/**
 * A real gateway, and beside each bad sender a good one that must be served. The README of receivers/otlp has the cases
 * and the answers; the figures of a run are printed behind it.
 */
const README = new URL("../../../src/receivers/otlp/README.md", import.meta.url);
const TABLE = /(?<=<!-- bad input: npm run bad-input -->\n\n)[^]*?(?=\n\n<!-- end of bad input -->)/;
const isWriting = (process.env["SIGNALBOX_WRITE_TABLES"] ?? "") !== "";

/** The good sender waits at most this long for an answer, whatever else the gateway does. */
const PATIENCE_MS = 5_000;
const LOGS = readFileSync(new URL("../../testdata/collector-otlp/logs.binpb", import.meta.url));
const figures: string[] = [];

let folder: TestFolder;
let gateway: TestProcess;
let ports: DoorPorts;

beforeAll(async () => {
  folder = await TestFolder.create();
  const config = await folder.write(
    "gateway.yaml",
    `
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "127.0.0.1:0" }
      http: { endpoint: "127.0.0.1:0", read_timeout: 2s }
processors:
  attributes: { actions: [{ pattern: "^x.*", action: delete }, { key: e, value: 1, action: upsert }] }
  resource: { attributes: [{ key: a, value: b, action: upsert }] }
exporters:
  debug: {}
  file: { path: "${folder.path}/telemetry.jsonl" }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], processors: [attributes, resource], exporters: [debug, file] } }
`,
  );
  const started = await startGateway(config);
  gateway = started.gateway;
  ports = { grpc: Number(new URL(started.grpc).port), http: Number(new URL(started.http).port) };
});

afterAll(async () => {
  process.stdout.write(`\n${["case | answers | good requests | slowest | memory", ...figures].join("\n")}\n\n`);
  await gateway.stop();
  await folder[Symbol.asyncDispose]();
});

describe("a good sender is served, and memory stays bounded, beside", () => {
  it.for(BAD_SENDERS)("$name", async ({ name, answers, attack, growthMib = GROWTH_MIB }) => {
    using good = new GoodSender(ports);
    const memory = new Memory(gateway.pid);
    const serving = good.serve();
    const given = await attack(ports);
    good.stop();
    await serving;
    const grownMib = memory.grownMib();
    figures.push(`${name} | ${given.length} | ${good.served} | ${Math.round(good.slowestMs)} ms | +${grownMib} MiB`);
    expect([...new Set(given)].toSorted().join("; ")).toBe(answers);
    expect(good.failures).toEqual([]);
    expect(good.served).toBeGreaterThan(0);
    expect(good.slowestMs).toBeLessThan(PATIENCE_MS);
    expect(grownMib).toBeLessThan(growthMib);
  });

  it("is written down in the README", () => {
    const rows = BAD_SENDERS.map(({ name, answers }) => `| ${name} | ${answers} |`);
    const table = ["| sent | answered |", "| --- | --- |", ...rows].join("\n");
    const readme = readFileSync(README, "utf8");
    if (isWriting) {
      writeFileSync(
        README,
        readme.replace(TABLE, () => table),
      );
    }
    expect(TABLE.exec(readFileSync(README, "utf8"))?.[0]).toBe(table);
  });
});

/** Sends over both doors, one request after the other, for as long as the bad one is there and at least once. */
class GoodSender implements Disposable {
  served = 0;
  slowestMs = 0;
  readonly failures: string[] = [];
  readonly #ports: DoorPorts;
  readonly #client: grpc.Client;
  #isStopped = false;

  constructor(doors: DoorPorts) {
    this.#ports = doors;
    this.#client = new grpc.Client(`127.0.0.1:${doors.grpc}`, grpc.credentials.createInsecure());
  }

  stop(): void {
    this.#isStopped = true;
  }

  async serve(): Promise<void> {
    do {
      await this.#time(
        async () => (await postHttp(this.#ports.http, "/v1/logs", "application/x-protobuf", LOGS)).status,
        200,
      );
      await this.#time(() => this.#call(), 0);
      await new Promise((resolve) => setTimeout(resolve, 5));
    } while (!this.#isStopped);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  async #time(send: () => Promise<number>, expected: number): Promise<void> {
    const startMs = performance.now();
    const answer = await send().catch((error: unknown) => String(error));
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
    if (answer === expected) this.served += 1;
    else this.failures.push(String(answer));
  }

  #call(): Promise<number> {
    const asIs = (bytes: Buffer): Buffer => bytes;
    const options = { deadline: Date.now() + PATIENCE_MS };
    return new Promise((resolve) => {
      const done = (error: grpc.ServiceError | null): void => resolve(error?.code ?? 0);
      this.#client.makeUnaryRequest(OTLP_METHODS.logs, asIs, asIs, LOGS, new grpc.Metadata(), options, done);
    });
  }
}

/** The memory of a process by the kernel's own peak, which is set back at the beginning. Elsewhere than on Linux: 0. */
class Memory {
  readonly #status: string;
  readonly #startMib: number;

  constructor(pid: number) {
    this.#status = `/proc/${pid}/status`;
    if (existsSync(this.#status)) writeFileSync(`/proc/${pid}/clear_refs`, "5");
    this.#startMib = this.#read("VmRSS");
  }

  grownMib(): number {
    return Math.max(0, this.#read("VmHWM") - this.#startMib);
  }

  #read(name: string): number {
    if (!existsSync(this.#status)) return 0;
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(this.#status, "utf8"))?.[1];
    return Math.round(Number(kib) / 1024);
  }
}
