import { mkdtempSync, rmSync, writeFileSync, copyFileSync, readFileSync } from "node:fs";
import * as http2 from "node:http2";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import { NO_OPENSSL, TestCa } from "../../support/test-ca.ts";
import type { KeyPair } from "../../support/test-ca.ts";
import { settle, TestClock } from "../../support/test-clock.ts";
import { TestGateway } from "./test-gateway.ts";

const LOGS = readFileSync(new URL("../../testdata/collector-otlp/logs.binpb", import.meta.url));
const PROTOBUF = "application/x-protobuf";

let folder: string;
let ca: TestCa;
let server: KeyPair;
let next: KeyPair;
let client: KeyPair;
let stranger: KeyPair;

beforeAll(() => {
  if (NO_OPENSSL !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "signalbox-tls-"));
  ca = new TestCa(folder);
  server = ca.issue("server", "DNS:localhost,IP:127.0.0.1");
  next = ca.issue("next", "DNS:localhost,IP:127.0.0.1");
  client = ca.issue("client", "DNS:worker");
  stranger = new TestCa(folder, "other-ca").issue("stranger", "DNS:worker");
});
afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

interface Trusted {
  readonly pair?: KeyPair;
}

/** One request over HTTPS; rejects where the handshake does. */
function postTls(port: number, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": PROTOBUF, "content-length": LOGS.length };
    const sent = request({ host: "127.0.0.1", port, path: "/v1/logs", method: "POST", headers, agent }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    sent.on("error", reject);
    sent.end(LOGS);
  });
}

function agentOf({ pair }: Trusted = {}): Agent {
  return new Agent({
    ca: ca.pair.cert,
    keepAlive: true,
    ...(pair !== undefined && { cert: pair.cert, key: pair.key }),
  });
}

function grpcClient(port: number, { pair }: Trusted = {}): grpc.Client {
  const key = pair === undefined ? null : Buffer.from(pair.key);
  const cert = pair === undefined ? null : Buffer.from(pair.cert);
  return new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createSsl(Buffer.from(ca.pair.cert), key, cert));
}

function call(sender: grpc.Client): Promise<number> {
  const asIs = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    const deadline = { deadline: Date.now() + 10_000 };
    sender.makeUnaryRequest(OTLP_METHODS.logs, asIs, asIs, LOGS, new grpc.Metadata(), deadline, (error) =>
      resolve(error?.code ?? 0),
    );
  });
}

function certificateAt(port: number, options: ConnectionOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host: "127.0.0.1", port, ca: ca.pair.cert, ...options }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

function protocols(tls: object, engine = "http2"): object {
  const endpoint = "127.0.0.1:0";
  return { grpc: { endpoint, tls, engine }, http: { endpoint, tls } };
}

describe.skipIf(NO_OPENSSL !== undefined)(
  `TLS at the doors${NO_OPENSSL === undefined ? "" : `: ${NO_OPENSSL}`}`,
  () => {
    const own = (pair: KeyPair): object => ({ cert_file: pair.certFile, key_file: pair.keyFile });

    it.for(["http2", "grpc_js"])("serves OTLP over HTTPS and gRPC on %s", async (engine) => {
      await using gateway = await TestGateway.start({ protocols: protocols(own(server), engine) });
      expect(gateway.listening.map(({ address }) => address.split(":")[0])).toEqual(["127.0.0.1", "https"]);
      const agent = agentOf();
      expect(await postTls(gateway.portOf("OTLP/HTTP"), agent)).toBe(200);
      agent.destroy();
      const sender = grpcClient(gateway.portOf("OTLP/gRPC"));
      expect(await call(sender)).toBe(0);
      sender.close();
      expect(gateway.arrivals).toHaveLength(2);
    });

    it("takes the certificate and its key as text", async () => {
      const tls = { cert_pem: server.cert, key_pem: server.key };
      await using gateway = await TestGateway.start({ protocols: protocols(tls) });
      expect(await certificateAt(gateway.portOf("OTLP/HTTP"))).toBe("server");
    });

    it.for(["http2", "grpc_js"])(
      "with client_ca_file lets in clients of that authority alone, on %s",
      async (engine) => {
        const tls = { ...own(server), client_ca_file: ca.pair.certFile };
        await using gateway = await TestGateway.start({ protocols: protocols(tls, engine) });
        const httpPort = gateway.portOf("OTLP/HTTP");
        const grpcPort = gateway.portOf("OTLP/gRPC");
        for (const [pair, status, code] of [
          [client, 200, 0],
          [stranger, "refused", 14],
          [undefined, "refused", 14],
        ] as const) {
          const trusted = pair === undefined ? {} : { pair };
          const agent = agentOf(trusted);
          expect(await postTls(httpPort, agent).catch(() => "refused")).toBe(status);
          agent.destroy();
          const sender = grpcClient(grpcPort, trusted);
          expect(await call(sender)).toBe(code);
          sender.close();
        }
        expect(gateway.warnings.join("\n")).toContain("a client's TLS handshake failed");
        const count = gateway.registry.value("signalbox_receiver_failed_handshakes", {
          receiver: "otlp",
          transport: "http",
        });
        expect(count).toBe(2);
      },
    );

    it("does not speak an older TLS than min_version, nor another suite or curve than the chosen ones", async () => {
      const tls = {
        ...own(server),
        min_version: "1.2",
        max_version: "1.2",
        cipher_suites: ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
        curve_preferences: ["P384"],
      };
      await using gateway = await TestGateway.start({ protocols: protocols(tls) });
      const port = gateway.portOf("OTLP/HTTP");
      expect(await certificateAt(port)).toBe("server");
      await expect(certificateAt(port, { minVersion: "TLSv1.3" })).rejects.toThrow(/protocol version/);
      await expect(certificateAt(port, { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).rejects.toThrow(
        /handshake failure/,
      );
      await expect(certificateAt(port, { ecdhCurve: "X25519" })).rejects.toThrow(/handshake failure/);
    });

    it("does not start with a key of another certificate, and says so without the key's text", async () => {
      const tls = { cert_file: server.certFile, key_file: next.keyFile };
      const error: unknown = await TestGateway.start({ protocols: protocols(tls) }).catch((thrown: unknown) => thrown);
      expect(String(error)).toContain("receivers.otlp: protocols.grpc.tls: the certificate and the key cannot be used");
      expect(String(error)).toContain("key values mismatch");
      expect(String(error)).not.toContain("PRIVATE KEY");
      const missing = { cert_file: "/nowhere.pem", key_file: next.keyFile };
      await expect(TestGateway.start({ protocols: protocols(missing) })).rejects.toThrow(
        "receivers.otlp: protocols.grpc.tls.cert_file /nowhere.pem: cannot be read (ENOENT)",
      );
    });
  },
);

describe.skipIf(NO_OPENSSL !== undefined)("reloading certificates", () => {
  /** The files that a gateway reads, which a test changes. */
  function rotating(name: string): {
    readonly cert_file: string;
    readonly key_file: string;
    readonly use: (pair: KeyPair) => void;
  } {
    const [cert_file, key_file] = [join(folder, `${name}-cert.pem`), join(folder, `${name}-key.pem`)];
    const use = (pair: KeyPair): void => {
      copyFileSync(pair.certFile, cert_file);
      copyFileSync(pair.keyFile, key_file);
    };
    use(server);
    return { cert_file, key_file, use };
  }

  async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isTrue())) await settle();
  }

  it.for(["http2", "grpc_js"])(
    "gives new connections the new certificate and keeps old ones open, on %s",
    async (engine) => {
      const clock = new TestClock(Date.now());
      const { use, ...files } = rotating(`rotate-${engine}`);
      const tls = { ...files, reload_interval: "1m" };
      await using gateway = await TestGateway.start({ protocols: protocols(tls, engine), clock });
      const grpcPort = gateway.portOf("OTLP/gRPC");
      const session = http2.connect(`https://127.0.0.1:${grpcPort}`, { ca: ca.pair.cert });
      await new Promise((resolve) => session.once("connect", resolve));
      const agent = agentOf();
      expect(await postTls(gateway.portOf("OTLP/HTTP"), agent)).toBe(200);
      use(next);
      await clock.advance(60_000);
      await until(() => gateway.infos.length === 2);
      for (const port of [grpcPort, gateway.portOf("OTLP/HTTP")]) {
        expect(await certificateAt(port, { ALPNProtocols: port === grpcPort ? ["h2"] : ["http/1.1"] })).toBe("next");
      }
      expect(session.destroyed).toBe(false);
      await new Promise((resolve) => session.ping(resolve));
      // The agent's one connection, opened before.
      expect(await postTls(gateway.portOf("OTLP/HTTP"), agent)).toBe(200);
      agent.destroy();
      session.destroy();
    },
  );

  it("says once that a new certificate is broken, keeps the old one, and takes the next good one", async () => {
    const clock = new TestClock(Date.now());
    const { use, ...files } = rotating("broken");
    const endpoint = "127.0.0.1:0";
    const tls = { ...files, reload_interval: "1m" };
    await using gateway = await TestGateway.start({ protocols: { http: { endpoint, tls } }, clock });
    const port = gateway.portOf("OTLP/HTTP");
    writeFileSync(files.cert_file, "half a certifi");
    for (let round = 0; round < 3; round++) {
      await clock.advance(60_000);
      await until(() => gateway.warnings.length > 0);
      expect(await certificateAt(port)).toBe("server");
    }
    expect(gateway.warnings).toEqual([
      expect.stringMatching(
        /^protocols.http.tls.cert_file .*: holds no PEM block[^]*what was read before stays in use$/,
      ),
    ]);
    use(next);
    await clock.advance(60_000);
    await until(async () => (await certificateAt(port)) === "next");
  });

  it("with client_ca_file_reload takes clients of a new authority, and no more of the old one", async () => {
    const clock = new TestClock(Date.now());
    const authorities = join(folder, "authorities.pem");
    copyFileSync(ca.pair.certFile, authorities);
    const endpoint = "127.0.0.1:0";
    const tls = {
      cert_file: server.certFile,
      key_file: server.keyFile,
      client_ca_file: authorities,
      client_ca_file_reload: true,
    };
    await using gateway = await TestGateway.start({ protocols: { http: { endpoint, tls } }, clock });
    const post = async (pair: KeyPair): Promise<number | string> => {
      const agent = agentOf({ pair });
      const status = await postTls(gateway.portOf("OTLP/HTTP"), agent).catch(() => "refused");
      agent.destroy();
      return status;
    };
    expect([await post(client), await post(stranger)]).toEqual([200, "refused"]);
    copyFileSync(join(folder, "other-ca.pem"), authorities);
    await clock.advance(10_000);
    await until(() => gateway.infos.length > 0);
    expect([await post(client), await post(stranger)]).toEqual(["refused", 200]);
  });
});
