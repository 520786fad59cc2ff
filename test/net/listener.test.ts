import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { listen } from "../../src/net/listener.ts";
import type { Endpoint } from "../../src/config/endpoint.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function start(host: string, port = 0): Promise<Endpoint> {
  const server = createServer((socket) => socket.end());
  servers.push(server);
  return listen(server, { endpoint: { host, port }, owner: "receivers.test", endpointKey: "endpoint" });
}

function reach(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("connect", () => resolve("connected"));
    socket.once("error", (error) => resolve(error.message));
    socket.resume();
  });
}

describe("listen", () => {
  it("takes IPv4 where a name has both, as Go does", async () => {
    const { host, port } = await start("localhost");
    expect([host, await reach("127.0.0.1", port)]).toEqual(["127.0.0.1", "connected"]);
  });

  it("takes every address of the machine where the endpoint has no host", async () => {
    const { host, port } = await start("");
    expect(["::", "0.0.0.0"]).toContain(host);
    expect(await reach("127.0.0.1", port)).toBe("connected");
  });

  it("names a host without an address, and one that is not this machine's", async () => {
    await expect(start("no-such-host.invalid", 4317)).rejects.toThrow(
      "receivers.test: the host of no-such-host.invalid:4317 has no address; set endpoint to an address of this machine",
    );
    await expect(start("192.0.2.1", 4317)).rejects.toThrow(
      'receivers.test: 192.0.2.1:4317 is no address of this machine; set endpoint to one, or to ":4317" for all',
    );
  });

  it("names a busy port, and keeps the system's error as the cause", async () => {
    const { port } = await start("127.0.0.1");
    const error = await start("127.0.0.1", port).catch((thrown: unknown) => thrown);
    expect((error as Error).message).toMatch(
      /^receivers\.test: 127\.0\.0\.1:\d+ is in use by another process; stop it/,
    );
    expect((error as Error).cause).toMatchObject({ code: "EADDRINUSE" });
  });
});
