/** Reloads of receivers with TLS, and of those whose connections have not said anything yet. */
import { rename } from "node:fs/promises";
import { once } from "node:events";
import { Agent, request as requestHttps } from "node:https";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { OTLP_METHODS } from "../../src/net/otlp-methods.ts";
import { eventually, freePort, type TestProcess } from "../support/processes.ts";
import { type KeyPair, NO_OPENSSL, TestCa } from "../support/test-ca.ts";
import { CountingBackend, httpDoor, grpcDoor, numberedRequest } from "./numbered-load.ts";
import { startGateway, TestFolder } from "./peers.ts";

class Stage {
  readonly folder: TestFolder;
  readonly backend: CountingBackend;
  readonly grpc: number;
  readonly http: number;

  constructor(folder: TestFolder, backend: CountingBackend, ports: readonly [number, number]) {
    this.folder = folder;
    this.backend = backend;
    [this.grpc, this.http] = ports;
  }

  get path(): string {
    return join(this.folder.path, "gateway.yaml");
  }

  /** `more` is written into both protocols: `, include_metadata: true`. */
  async save(more: string, pair?: KeyPair): Promise<void> {
    const tls = pair === undefined ? "" : `, tls: { cert_file: "${pair.certFile}", key_file: "${pair.keyFile}" }`;
    const text = `
receivers:
  otlp:
    protocols:
      grpc: { endpoint: "127.0.0.1:${this.grpc}"${tls}${more} }
      http: { endpoint: "127.0.0.1:${this.http}"${tls}${more} }
exporters: { otlp_http: { endpoint: "${this.backend.url}", compression: none } }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`;
    await rename(await this.folder.write("draft", text), this.path);
  }
}

async function withStage(run: (stage: Stage) => Promise<void>): Promise<void> {
  await using folder = await TestFolder.create();
  await using backend = await CountingBackend.listen();
  await run(new Stage(folder, backend, [await freePort(), await freePort()]));
}

async function reloaded(gateway: TestProcess, change: () => Promise<void>): Promise<string> {
  const before = gateway.stderr.length;
  await change();
  return gateway.until((_stdout, stderr) => {
    const said = stderr.slice(before);
    return /reload: \d+ changes? (?:is|are) in force|reload refused/.test(said) && said;
  });
}

type Send = (body: Buffer) => Promise<string>;

function httpsSender(port: number, agent: Agent): Send {
  return (body) =>
    new Promise((resolve) => {
      const headers = { "content-type": "application/x-protobuf", "content-length": body.length };
      const place = { host: "127.0.0.1", port, path: "/v1/logs", method: "POST", headers, agent };
      const post = requestHttps(place, (response) => {
        response.resume();
        response.on("close", () => resolve(response.statusCode === 200 ? "ok" : `HTTP ${response.statusCode}`));
      });
      post.on("error", (error) => resolve(error.message));
      post.end(body);
    });
}

function grpcSender(client: grpc.Client): Send {
  const asIs = (bytes: Buffer): Buffer => bytes;
  return (body) =>
    new Promise((resolve) => {
      client.makeUnaryRequest(OTLP_METHODS.logs, asIs, asIs, body, { deadline: Date.now() + 10_000 }, (error) =>
        resolve(error === null ? "ok" : error.message),
      );
    });
}

function grpcClient(port: number, ca: TestCa): grpc.Client {
  const credentials = grpc.credentials.createSsl(Buffer.from(ca.pair.cert));
  return new grpc.Client(`127.0.0.1:${port}`, credentials, { "grpc.ssl_target_name_override": "localhost" });
}

/** Sends all the time, each lane one request after the other; `answers` are those that were no success. */
class Load {
  readonly answers: string[] = [];
  count = 0;
  #isStopped = false;
  readonly #lanes: Promise<void>[];

  constructor(senders: readonly Send[]) {
    this.#lanes = senders.map((send) => this.#run(send));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#lanes);
  }

  async #run(send: Send): Promise<void> {
    while (!this.#isStopped) {
      const answer = await send(numberedRequest(this.count++, 1));
      if (answer !== "ok") this.answers.push(answer);
      await sleep(3);
    }
  }
}

async function certificateAt(port: number, ca: string): Promise<string> {
  const socket = connectTls({ host: "127.0.0.1", port, ca, ALPNProtocols: ["h2", "http/1.1"] });
  await once(socket, "secureConnect");
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return String(CN);
}

/** Connected, and nothing said; it may be closed from the other side, which is no error of the test. */
async function silentConnection(port: number): Promise<Socket> {
  const socket = connectTcp(port, "127.0.0.1").on("error", () => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Without openssl the first test says that it was skipped, and why. */
const WAYS = NO_OPENSSL === undefined ? ["in plain text", "with TLS"] : ["in plain text"];

describe("a reload", () => {
  test.skipIf(NO_OPENSSL !== undefined)(
    "of receivers with TLS fails no request over gRPC or HTTPS, and those who connect later see the new certificate",
    () =>
      withStage(async (stage) => {
        const ca = new TestCa(stage.folder.path);
        const former = ca.issue("former", "DNS:localhost,IP:127.0.0.1");
        const next = ca.issue("next", "DNS:localhost,IP:127.0.0.1");
        await stage.save("", former);
        const { gateway } = await startGateway(stage.path);
        await using running = gateway;
        const agent = new Agent({ ca: ca.pair.cert, keepAlive: true });
        const client = grpcClient(stage.grpc, ca);
        const senders = [httpsSender(stage.http, agent), grpcSender(client)];
        const load = new Load([...senders, ...senders]);
        await eventually(async () => stage.backend.counts.size > 20 || undefined, "the load arrives");
        const ports = [stage.grpc, stage.http];
        for (const port of ports) expect(await certificateAt(port, ca.pair.cert)).toBe("former");

        expect(await reloaded(running, () => stage.save(", include_metadata: true", former))).toContain(
          "receivers.otlp changed",
        );
        await sleep(200);
        expect(await reloaded(running, () => stage.save("", next))).toContain("receivers.otlp changed");
        for (const port of ports) expect(await certificateAt(port, ca.pair.cert)).toBe("next");
        const broken = { ...next, keyFile: former.keyFile };
        expect(await reloaded(running, () => stage.save("", broken))).toContain("reload refused");
        for (const port of ports) expect(await certificateAt(port, ca.pair.cert)).toBe("next");
        const before = stage.backend.counts.size;
        await eventually(async () => stage.backend.counts.size > before + 20 || undefined, "the load goes on");

        await load.stop();
        agent.destroy();
        client.close();
        await eventually(async () => stage.backend.counts.size === load.count || undefined, "all have arrived");
        expect(await running.stop()).toBe(0);
        expect(load.answers).toEqual([]);
        expect(stage.backend.copies).toBe(0);
      }),
    60_000,
  );

  test.for(WAYS)(
    "keeps the listening sockets while connections stand that have not spoken, and answers these: %s",
    { timeout: 60_000 },
    (how) =>
      withStage(async (stage) => {
        const ca = how === "with TLS" ? new TestCa(stage.folder.path) : undefined;
        const pair = ca?.issue("server", "DNS:localhost,IP:127.0.0.1");
        await stage.save("", pair);
        const { gateway } = await startGateway(stage.path);
        await using running = gateway;
        const silent: Socket[] = [];
        for (const port of [stage.grpc, stage.http, stage.grpc, stage.http]) silent.push(await silentConnection(port));
        const steps = [", include_metadata: true", "", ", include_metadata: true"];
        for (const [index, more] of steps.entries()) {
          expect(await reloaded(running, () => stage.save(more, pair))).toContain("receivers.otlp changed");
          expect(await sendOnce(stage, ca, index)).toEqual(["ok", "ok"]);
        }
        expect(await speak(silent[1]!, ca)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
        for (const socket of silent) socket.destroy();
        expect(await running.stop()).toBe(0);
      }),
  );
});

/** Over connections of their own. */
async function sendOnce(stage: Stage, ca: TestCa | undefined, number: number): Promise<string[]> {
  const body = numberedRequest(number, 1);
  if (ca === undefined) {
    const doors = [grpcDoor(`127.0.0.1:${stage.grpc}`, 5000), httpDoor(`http://127.0.0.1:${stage.http}`, 5000)];
    const answers = await Promise.all(doors.map((door) => door.send(body)));
    for (const door of doors) door.close();
    return answers;
  }
  const agent = new Agent({ ca: ca.pair.cert });
  const client = grpcClient(stage.grpc, ca);
  const answers = await Promise.all([grpcSender(client)(body), httpsSender(stage.http, agent)(body)]);
  agent.destroy();
  client.close();
  return answers;
}

/** What a connection that stood silent gets when it sends a request after all. */
async function speak(socket: Socket, ca: TestCa | undefined): Promise<string> {
  const body = numberedRequest(1000, 1);
  const stream = ca === undefined ? socket : connectTls({ socket, ca: ca.pair.cert, servername: "localhost" });
  const head = `POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: ${body.length}\r\n\r\n`;
  stream.write(Buffer.concat([Buffer.from(head), body]));
  const [answer] = (await once(stream, "data")) as [Buffer];
  return answer.toString("latin1");
}
