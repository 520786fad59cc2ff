import { createServer as createHttpsServer } from "node:https";
import type { Server as HttpsServer, ServerOptions as HttpsOptions } from "node:https";
import type { Socket } from "node:net";
import { createSecureContext, createServer, getCACertificates } from "node:tls";
import type { SecureContextOptions, Server as TlsServer, TlsOptions, TLSSocket } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "../core/clock.ts";
import { plainAddress } from "./client-headers.ts";
import { loadPem } from "./pem.ts";
import type { ServerTlsConfig } from "./server-config.ts";
import { tlsChoices } from "./tls-choices.ts";

/** What TLS tells its owner. Handshakes fail as often as strangers like: count, and log at most now and then. */
export interface ServerTlsObserver {
  /** The files have changed, and new connections get what is in them. */
  onReload(): void;
  /** They cannot be used; what was read before stays. Called once for each state of the files. */
  onReloadFailure(error: Error): void;
  onHandshakeFailure(address: string, reason: string): void;
}

export interface ServerTlsSettings {
  readonly config: ServerTlsConfig;
  readonly clock: Clock;
  readonly observer: ServerTlsObserver;
}

/** How often the files are looked at where only `client_ca_file_reload` asks for it. */
const CLIENT_CA_RELOAD_MS = 10_000;
/** An honest client needs two round trips; a connection that says nothing costs a socket for this long. */
const HANDSHAKE_MS = 10_000;

/**
 * TLS at a door: reads the files, makes the servers, and gives them a new context when the files have changed. A
 * context belongs to connections that begin, so a reload ends none.
 */
export class ServerTls {
  readonly #settings: ServerTlsSettings;
  readonly #servers = new Set<TlsServer>();
  /** By the client's address and port. */
  readonly #handshakes = new Map<string, Socket>();
  #context: SecureContextOptions;
  #failure = "";
  #timer: Timer | undefined;

  private constructor(settings: ServerTlsSettings, context: SecureContextOptions) {
    this.#settings = settings;
    this.#context = context;
    this.#waitForReload();
  }

  /** Rejects with an error that names the key and the file at fault. */
  static async load(settings: ServerTlsSettings): Promise<ServerTls> {
    return new ServerTls(settings, await loadContext(settings.config));
  }

  /** A TCP server whose sockets are handed over once they are secure; it offers HTTP/2 alone. */
  createTcpServer(onSocket: (socket: Socket) => void): TlsServer {
    const server = createServer({ ...this.#options(), ALPNProtocols: ["h2"] }, onSocket);
    this.#follow(server);
    return server;
  }

  createHttpServer(options: HttpsOptions): HttpsServer {
    const server = createHttpsServer({ ...options, ...this.#options() });
    this.#follow(server);
    return server;
  }

  /** No more reloads, and connections that are not secure yet are closed. Call it when the servers accept no more. Idempotent. */
  stop(): void {
    this.#timer?.cancel();
    this.#servers.clear();
    for (const socket of this.#handshakes.values()) socket.destroy();
  }

  #options(): TlsOptions {
    const asksClients = this.#settings.config.client_ca_file !== undefined;
    const clients = { requestCert: asksClients, rejectUnauthorized: asksClients };
    return { ...this.#context, ...clients, handshakeTimeout: HANDSHAKE_MS };
  }

  #follow(server: TlsServer): void {
    this.#servers.add(server);
    server.on("connection", (socket: Socket) => {
      const key = peerOf(socket);
      this.#handshakes.set(key, socket);
      socket.once("close", () => this.#handshakes.delete(key));
    });
    server.on("secureConnection", (socket) => this.#handshakes.delete(peerOf(socket)));
    server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const address = plainAddress(socket.remoteAddress);
      socket.destroy();
      // A certificate that is not believed shows as a connection that we reset ourselves.
      const refusal = unbelieved(socket);
      // Who only looks whether the port is open hangs up before it says a word: load balancers do so all day.
      if (error.code === "ECONNRESET" && refusal === undefined) return;
      this.#settings.observer.onHandshakeFailure(address, refusal ?? reasonOf(error));
    });
  }

  #waitForReload(): void {
    const { config, clock } = this.#settings;
    const intervalMs = config.reload_interval || (config.client_ca_file_reload ? CLIENT_CA_RELOAD_MS : 0);
    if (intervalMs === 0) return;
    this.#timer = clock.after(intervalMs, () => {
      this.#waitForReload();
      void this.#reload();
    });
  }

  /** Never rejects. */
  async #reload(): Promise<void> {
    const { config, observer } = this.#settings;
    try {
      const context = await loadContext(config);
      const isSame = isDeepStrictEqual(context, this.#context);
      this.#failure = "";
      if (isSame) return;
      this.#context = context;
      for (const server of this.#servers) server.setSecureContext(context);
      observer.onReload();
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      if (error.message === this.#failure) return;
      this.#failure = error.message;
      observer.onReloadFailure(error);
    }
  }
}

/** Node sets the code of the verification error, `UNABLE_TO_VERIFY_LEAF_SIGNATURE`, and its types an Error. */
function unbelieved({ authorizationError }: TLSSocket): string | undefined {
  const code: unknown = authorizationError;
  return typeof code === "string" ? `the client's certificate is not believed (${code})` : undefined;
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

async function loadContext(config: ServerTlsConfig): Promise<SecureContextOptions> {
  const [cert, key, ca] = await Promise.all([
    loadPem("tls.cert_file", config.cert_file, config.cert_pem?.reveal()),
    loadPem("tls.key_file", config.key_file, config.key_pem?.reveal()),
    loadPem("tls.client_ca_file", config.client_ca_file, undefined),
  ]);
  const system = config.include_system_ca_certs_pool ? getCACertificates("system") : [];
  const options: SecureContextOptions = {
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(ca !== undefined && { ca: [ca, ...system] }),
    ...tlsChoices(config),
  };
  checkContext(options);
  return options;
}

/** Building a context finds what the first client would find: a key of another certificate, an unknown curve. */
function checkContext(options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const message = `tls: the certificate and the key cannot be used: ${reasonOf(error)}\n  check that they are whole and belong together`;
    throw new Error(message, { cause: error });
  }
}

/** "error:05800074:x509 certificate routines::key values mismatch" -> "key values mismatch". */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^(?:[0-9A-F]+:)?error:[0-9A-F]+:[^:]*:[^:]*:([^:\n]*)[\s\S]*$/, "$1").trim();
}
