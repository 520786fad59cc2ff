import { once } from "node:events";
import { Agent, createServer, request as requestHttp, type Server } from "node:http";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { closeListening, listen } from "../../src/net/listener.ts";
import { SharedSockets } from "../../src/net/shared-sockets.ts";
import { freePort } from "../support/processes.ts";

const sockets = new SharedSockets();
const servers: Server[] = [];

function answering(text: string): Server {
  const server = createServer((_request, response) => response.end(text));
  servers.push(server);
  return server;
}

afterEach(async () => {
  sockets.endHandover();
  for (const server of servers.splice(0)) {
    const closed = closeListening(server, { sockets });
    server.closeAllConnections();
    await closed;
  }
});

const place = (owner: string, port: number): Parameters<typeof listen>[1] => ({
  endpoint: { host: "localhost", port },
  owner,
  endpointKey: "endpoint",
  sockets,
});

async function ask(port: number, agent?: Agent): Promise<string> {
  const request = requestHttp({ host: "127.0.0.1", port, agent: agent ?? false });
  request.end();
  const [response] = (await once(request, "response")) as [AsyncIterable<Buffer>];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("a socket passes to its new server at the end of a handover, and not before", async () => {
  const port = await freePort();
  await listen(answering("old"), place("receivers.a", port));
  sockets.beginHandover(new Set(["receivers.a"]));
  await listen(answering("new"), place("receivers.b", port));
  expect(await ask(port)).toBe("old");
  sockets.endHandover();
  expect(await ask(port)).toBe("new");
});

test("a connection stays with the server that it was given to", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const port = await freePort();
  await listen(answering("old"), place("receivers.a", port));
  expect(await ask(port, agent)).toBe("old");
  sockets.beginHandover(new Set(["receivers.a"]));
  await listen(answering("new"), place("receivers.a", port));
  sockets.endHandover();
  expect(await ask(port, agent)).toBe("old");
  agent.destroy();
});

test("with port 0 the port stays while its owner does", async () => {
  const { port } = await listen(answering("old"), place("receivers.a", 0));
  sockets.beginHandover(new Set(["receivers.a"]));
  expect((await listen(answering("new"), place("receivers.a", 0))).port).toBe(port);
});

test("a place that another keeps is refused, with its owner's name", async () => {
  const port = await freePort();
  await listen(answering("old"), place("receivers.a", port));
  await expect(listen(answering("new"), place("receivers.b", port))).rejects.toThrow(
    `receivers.b: localhost:${port} is in use by receivers.a; set endpoint to another port`,
  );
  sockets.beginHandover(new Set(["receivers.c"]));
  await expect(listen(answering("new"), place("receivers.b", port))).rejects.toThrow("in use by receivers.a");
});

test("a handover that fails leaves the socket with its old server", async () => {
  const port = await freePort();
  await listen(answering("old"), place("receivers.a", port));
  sockets.beginHandover(new Set(["receivers.a"]));
  const next = answering("new");
  await listen(next, place("receivers.a", port));
  await closeListening(next, { sockets });
  sockets.endHandover();
  expect(await ask(port)).toBe("old");
});

test("who connects to a new place during a handover is answered at its end", async () => {
  sockets.beginHandover(new Set());
  const { port } = await listen(answering("new"), place("receivers.a", 0));
  const answer = ask(port);
  const client = connect(port, "127.0.0.1");
  await once(client, "connect");
  sockets.endHandover();
  expect(await answer).toBe("new");
  client.destroy();
});

test("the socket is closed when its last server leaves", async () => {
  const server = answering("only");
  const { port } = await listen(server, place("receivers.a", 0));
  await closeListening(server, { sockets });
  const other = answering("other");
  await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
  expect((other.address() as AddressInfo).port).toBe(port);
});
