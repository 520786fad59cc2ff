import { chmodSync, closeSync, constants, openSync, rmSync } from "node:fs";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Logger } from "../core/logger.ts";
import { createServer } from "../net/node-http.ts";
import { ADMIN_SOCKET_NAME } from "./admin-socket.ts";

/**
 * HTTP with JSON on a Unix socket in the folder of the queue's storage: how a command of the command line reaches the
 * gateway that has the folder's lock. The file's permissions (0600) are the access control; there is no port and no token.
 * docs/decisions/0008-admin-door.md says why.
 */

/** What a command asks with is a filter or a list of ids. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

export interface AdminRequest {
  readonly query: URLSearchParams;
  /** The JSON of the body; undefined where there was none. */
  readonly body: unknown;
  /** Aborts when the one who asked has gone. */
  readonly signal: AbortSignal;
}

/** One JSON document, or one for each line, sent as fast as it is read. */
export type AdminAnswer = { readonly json: unknown } | { readonly lines: AsyncIterable<unknown> };

export interface AdminRoute {
  readonly method: "GET" | "POST";
  /** `/dead-letters` */
  readonly path: string;
  /** An AdminError is the answer of whoever asked wrongly; anything else that is thrown is our bug, and a 500. */
  readonly answer: (request: AdminRequest) => AdminAnswer | Promise<AdminAnswer>;
}

/** What the one who asked did wrong; the message is for a person, with the fix on its second line. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface AdminDoorSettings {
  /** undefined: the queues are in memory, and there is no door. */
  readonly folder: string | undefined;
  readonly logger: Logger;
}

export class AdminDoor {
  readonly #settings: AdminDoorSettings;
  readonly #routes: AdminRoute[] = [];
  #server: Server | undefined;
  #folderHandle: number | undefined;

  constructor(settings: AdminDoorSettings) {
    this.#settings = settings;
  }

  add(...routes: readonly AdminRoute[]): void {
    this.#routes.push(...routes);
  }

  /**
   * After the folder's lock is taken, so that a socket that lies there is a dead gateway's. A door that cannot be opened
   * is a warning: a gateway that does not start because nobody could have asked it would be the wrong choice.
   */
  async start(): Promise<void> {
    const { folder, logger } = this.#settings;
    if (folder === undefined || this.#routes.length === 0) return;
    const server = createServer((request, response) => void this.#serve(request, response));
    try {
      this.#folderHandle = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
      const path = socketPath(folder, this.#folderHandle);
      rmSync(path, { force: true });
      await listen(server, path);
      chmodSync(path, 0o600);
      this.#server = server;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn(`the admin socket ${join(folder, ADMIN_SOCKET_NAME)} cannot be opened: ${reason}`);
      this.#closeFolder();
    }
  }

  /** Before the folder's lock is released. Idempotent; never rejects. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    }
    this.#closeFolder();
  }

  #closeFolder(): void {
    if (this.#folderHandle !== undefined) closeSync(this.#folderHandle);
    this.#folderHandle = undefined;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on("close", () => gone.abort());
    try {
      const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://admin");
      const route = this.#routeOf(request.method, pathname);
      const body = await readBody(request);
      const answer = await route.answer({ query, body, signal: gone.signal });
      if ("json" in answer) sendJson(response, 200, answer.json);
      else await sendLines(response, answer.lines);
    } catch (thrown) {
      this.#fail(response, thrown);
    }
  }

  #routeOf(method: string | undefined, path: string): AdminRoute {
    const route = this.#routes.find((candidate) => candidate.method === method && candidate.path === path);
    if (route !== undefined) return route;
    throw new AdminError(
      404,
      `this gateway knows no ${method ?? "?"} ${path}; is it an older version than the command?`,
    );
  }

  #fail(response: ServerResponse, thrown: unknown): void {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    if (!(thrown instanceof AdminError)) this.#settings.logger.error(`admin socket: ${message}`);
    // Half of the lines are out: cutting the connection is how the other side learns that it is not all.
    if (response.headersSent) response.destroy();
    else sendJson(response, thrown instanceof AdminError ? thrown.status : 500, { error: { message } });
  }
}

/** Bytes that a socket's path may have: 108 on Linux, 104 on macOS, with the zero behind it. */
const SOCKET_PATH_BYTES_MAX = 103;

/** A path that is too long for a socket is shortened by way of the folder's handle, where the system has that. */
export function socketPath(folder: string, folderHandle: number): string {
  const path = join(folder, ADMIN_SOCKET_NAME);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX || process.platform !== "linux") return path;
  return `/proc/self/fd/${folderHandle}/${ADMIN_SOCKET_NAME}`;
}

/** Between listen() and chmod() the umask holds; to connect one must be allowed to write, which it gives to nobody else. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path }, () => {
      server.off("error", reject);
      server.unref();
      resolve();
    });
  });
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > BODY_BYTES_MAX) throw new AdminError(413, `the question has more than ${BODY_BYTES_MAX} bytes`);
    chunks.push(bytes);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new AdminError(400, `the question is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function sendJson(response: ServerResponse, status: number, json: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(json)}\n`);
}

/** One line at a time, no faster than the other side takes them. */
async function sendLines(response: ServerResponse, lines: AsyncIterable<unknown>): Promise<void> {
  const toText = async function* (): AsyncGenerator<string> {
    for await (const line of lines) yield `${JSON.stringify(line)}\n`;
  };
  response.setHeader("content-type", "application/x-ndjson");
  await pipeline(Readable.from(toText()), response);
}
