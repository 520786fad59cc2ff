import { connect, createServer } from "node:net";
import type { Server } from "node:net";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { formatEndpoint, unixEndpoint } from "../../src/config/endpoint.ts";
import type { Endpoint } from "../../src/config/endpoint.ts";
import { listen } from "../../src/net/listener.ts";

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

/** On one family of addresses alone. */
function startOn(host: string, family: 4 | 6): Promise<Endpoint> {
  const server = createServer((socket) => socket.end());
  servers.push(server);
  return listen(server, { endpoint: { host, port: 0, family }, owner: "receivers.test", endpointKey: "endpoint" });
}

describe("listen on one family of addresses", () => {
  it("takes no other, whether the host is left out or has both", async () => {
    expect((await startOn("", 4)).host).toBe("0.0.0.0");
    expect((await startOn("localhost", 4)).host).toBe("127.0.0.1");
    await expect(startOn("::1", 4)).rejects.toThrow("has no address");
    await expect(startOn("127.0.0.1", 6)).rejects.toThrow("has no address");
  });

  it("listens on IPv6 alone where the machine has it, and says that it cannot where not", async () => {
    const listening = await startOn("", 6).catch((error: unknown) => error);
    if (listening instanceof Error) expect(listening.message).toContain("receivers.test: ");
    else expect(await reach("127.0.0.1", (listening as Endpoint).port)).toContain("ECONNREFUSED");
  });
});

/** A machine without IPv6: its first attempt to listen fails as there. */
function startWithoutIpv6(host: string, code: string): { listening: Promise<Endpoint>; warnings: string[] } {
  const server = createServer((socket) => socket.end());
  servers.push(server);
  const really = server.listen.bind(server);
  server.listen = ((...[place, done]: [{ host: string; port: number }, () => void]) => {
    if (place.host !== "::") return really(place, done);
    queueMicrotask(() => server.emit("error", Object.assign(new Error(`listen ${code}`), { code })));
    return server;
  }) as Server["listen"];
  const warnings: string[] = [];
  const settings = { endpoint: { host, port: 0 }, owner: "receivers.test", endpointKey: "endpoint" };
  return { listening: listen(server, { ...settings, warn: (message) => warnings.push(message) }), warnings };
}

describe("listen on every address of a machine without IPv6", () => {
  it.each(["EAFNOSUPPORT", "EADDRNOTAVAIL"])("takes IPv4's, and says so in one line (%s)", async (code) => {
    const { listening, warnings } = startWithoutIpv6("::", code);
    const { host, port } = await listening;
    expect([host, await reach("127.0.0.1", port)]).toEqual(["0.0.0.0", "connected"]);
    expect(warnings).toEqual([
      "receivers.test: this machine has no IPv6: listening on 0.0.0.0:0 instead of [::]:0 (endpoint)",
    ]);
  });

  it("says nothing where the endpoint has no host: IPv4's are all there are", async () => {
    const { listening, warnings } = startWithoutIpv6("", "EAFNOSUPPORT");
    expect([(await listening).host, warnings]).toEqual(["0.0.0.0", []]);
  });

  it("gives up on any other error", async () => {
    await expect(startWithoutIpv6("::", "EADDRINUSE").listening).rejects.toThrow("is in use by another process");
  });
});

describe("listen on a Unix socket", () => {
  it("makes the socket, and takes it away at the end", async () => {
    const folder = await mkdtemp(join(tmpdir(), "signalbox-listener-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, "otlp.sock");
    const server = createServer((socket) => socket.end());
    const settings = { endpoint: unixEndpoint(path), owner: "receivers.test", endpointKey: "endpoint" };
    expect(formatEndpoint(await listen(server, settings))).toBe(`unix:${path}`);
    const busy = listen(createServer(), settings);
    await expect(busy).rejects.toThrow(
      `receivers.test: cannot listen on unix:${path} (endpoint): there is such a file`,
    );
    await new Promise((resolve) => server.close(resolve));
    expect(existsSync(path)).toBe(false);
  });
});

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
