import { closeSync, constants, openSync } from "node:fs";
import type { ClientRequest, IncomingMessage } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { sleep, systemClock } from "../core/clock.ts";
import { requestHttp } from "../net/node-http.ts";
import { socketPath } from "../service/admin-door.ts";
import { ADMIN_SOCKET_NAME } from "../service/admin-socket.ts";

/** The gateway refused the question, or broke off; the message is for the person who asked. */
export class AdminRefusal extends Error {
  override readonly name = "AdminRefusal";
}

export interface AdminQuestion {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A gateway says at once that it has heard. The bet is lost where its process is stopped or its machine hangs. */
const ANSWER_MS_MAX = 5_000;

/**
 * Asks the gateway that has the folder (service/admin-door.ts), and gives each line of its answer as JSON.
 * undefined where none listens: its process is gone, or it never opened its socket.
 */
export async function askAdmin(folder: string, question: AdminQuestion): Promise<AsyncIterable<unknown> | undefined> {
  const response = await connect(folder, question);
  if (response === undefined) return undefined;
  const lines = readLines(response);
  if (response.statusCode === 200) return lines;
  throw new AdminRefusal((await firstMessage(lines)) ?? `the gateway answered ${String(response.statusCode)}`);
}

const NOBODY_LISTENS = ["ENOENT", "ECONNREFUSED", "ENOTDIR"];

async function connect(folder: string, question: AdminQuestion): Promise<IncomingMessage | undefined> {
  let handle: number | undefined;
  try {
    handle = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    return await send(socketPath(folder, handle), question);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (NOBODY_LISTENS.includes(code)) return undefined;
    const path = join(folder, ADMIN_SOCKET_NAME);
    const fix = code === "EACCES" ? "\n  run this as the user that the gateway runs as" : "";
    const reason = error instanceof Error ? error.message : String(error);
    throw new AdminRefusal(`the gateway cannot be asked at ${path}: ${reason}${fix}`, { cause: error });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/**
 * Resolves with the head of the answer. A stopped process takes the connection and says nothing, while a replay that waits
 * for room may take its time: so the gateway is asked to say that it goes on, which its HTTP server does by itself.
 */
function send(socket: string, { method, path, query = {}, body }: AdminQuestion): Promise<IncomingMessage> {
  const answered = new AbortController();
  const search = new URLSearchParams(query).toString();
  return new Promise((resolve, reject) => {
    const headers = { expect: "100-continue" };
    const request = requestHttp({
      socketPath: socket,
      method,
      path: search === "" ? path : `${path}?${search}`,
      headers,
    });
    request.on("response", resolve).on("error", reject);
    for (const sign of ["continue", "response", "close"]) request.once(sign, () => answered.abort());
    request.once("continue", () => request.end(body === undefined ? undefined : JSON.stringify(body)));
    void giveUp(request, answered.signal);
    // The head alone; the body follows when the gateway has heard.
    request.flushHeaders();
  });
}

async function giveUp(request: ClientRequest, answered: AbortSignal): Promise<void> {
  await sleep(systemClock, ANSWER_MS_MAX, answered);
  if (answered.aborted) return;
  const fix = "is its process stopped, or its machine busy? ask again";
  request.destroy(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s\n  ${fix}`));
}

/** A line of a gateway is never cut: a connection that breaks before the end is a rejection. */
async function* readLines(response: IncomingMessage): AsyncGenerator {
  for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
    if (line !== "") yield JSON.parse(line) as unknown;
  }
  if (!response.complete)
    throw new AdminRefusal("the gateway broke off in the middle of its answer: is it shutting down?");
}

async function firstMessage(lines: AsyncIterable<unknown>): Promise<string | undefined> {
  for await (const line of lines) return messageOf(line);
  return undefined;
}

function messageOf(line: unknown): string | undefined {
  if (typeof line !== "object" || line === null || !("error" in line)) return undefined;
  const { error } = line;
  return typeof error === "object" && error !== null && "message" in error ? String(error.message) : undefined;
}
