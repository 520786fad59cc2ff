import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { jsonAnswer } from "../../src/store/api-error.ts";
import type { ApiServerSettings } from "../../src/store/api-server.ts";
import { ApiServer } from "../../src/store/api-server.ts";
import { StoreError } from "../../src/store/store-error.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function serve(
  settings: Partial<ApiServerSettings> = {},
): Promise<(headers?: Record<string, string>, path?: string, method?: string) => Promise<Answer>> {
  const server = new ApiServer({
    endpoint: { host: "127.0.0.1", port: 0 },
    owner: "exporters.local_store",
    token: undefined,
    ask: (path, search) => Promise.resolve(jsonAnswer(200, { path, search })),
    ...settings,
  });
  const { port } = await server.listen();
  onTestFinished(() => server.close());
  return (headers = {}, path = "/api/logs?q=x", method = "GET") => send(port, headers, path, method);
}

function send(port: number, headers: Record<string, string>, path: string, method: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

describe("the Host header", () => {
  test.each(["localhost", "localhost:4319", "127.0.0.1:9999", "[::1]:4319", "127.0.0.1", "LOCALHOST"])(
    "%s is ours",
    async (host) => {
      expect((await (await serve())({ host })).status).toBe(200);
    },
  );

  test.each([
    "evil.example",
    "localhost.evil.example",
    "evil.example:4319",
    "127.0.0.1.nip.io",
    "user@localhost",
    "localhost:4319/x",
    "10.0.0.5",
    "::1",
  ])("%s is refused: a foreign name that leads to us is DNS rebinding", async (host) => {
    const answer = await (await serve())({ host });
    expect(answer.status).toBe(421);
    expect(JSON.parse(answer.body)).toMatchObject({
      error: { message: expect.stringContaining("not an address of this gateway") as string },
    });
  });

  test("the name it is bound to is ours, and with a token any name where it is bound to all", async () => {
    const named = await serve({ endpoint: { host: "localhost", port: 0 } });
    expect((await named({ host: "localhost" })).status).toBe(200);
    const all = await serve({ endpoint: { host: "0.0.0.0", port: 0 }, token: "s3cret" });
    expect((await all({ host: "gateway.internal:4319", authorization: "Bearer s3cret" })).status).toBe(200);
    expect((await all({ host: "gateway.internal:4319" })).status).toBe(401);
  });
});

describe("other origins", () => {
  test.each<[Record<string, string>, number]>([
    [{ origin: "http://evil.example" }, 403],
    [{ origin: "null" }, 403],
    [{ origin: "http://localhost:3000" }, 403],
    [{ origin: "http://localhost:4319" }, 200],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script" }, 403],
    [{ "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" }, 403],
    [{ "sec-fetch-site": "same-origin" }, 200],
    [{ "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }, 200],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }, 200],
    [{ "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" }, 403],
  ])("%j is answered %i", async (headers, status) => {
    expect((await (await serve())({ host: "localhost:4319", ...headers })).status).toBe(status);
  });

  test("no answer carries a header that lets another origin read it", async () => {
    const ask = await serve();
    for (const origin of ["http://localhost:4319", "http://evil.example"]) {
      const { headers } = await ask({ host: "localhost:4319", origin });
      expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
      expect(headers).toMatchObject({
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
      });
    }
  });
});

describe("a token", () => {
  test.each<[string | undefined, number]>([
    ["Bearer s3cret", 200],
    ["bearer s3cret", 200],
    ["Bearer wrong", 401],
    ["Bearer s3cretx", 401],
    ["Basic s3cret", 401],
    ["s3cret", 401],
    [undefined, 401],
  ])("authorization %s is answered %i", async (authorization, status) => {
    const answer = await (
      await serve({ token: "s3cret" })
    )({ host: "localhost", ...(authorization !== undefined && { authorization }) });
    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain("s3cret");
    expect(answer.headers["www-authenticate"]).toBe(status === 401 ? "Bearer" : undefined);
  });

  test("is not asked for on the page that says what can be asked", async () => {
    expect((await (await serve({ token: "s3cret" }))({ host: "localhost" }, "/")).status).toBe(200);
  });
});

describe("a request", () => {
  test.each(["POST", "PUT", "DELETE", "OPTIONS", "HEAD"])(
    "with %s is refused: the store is read with GET",
    async (method) => {
      const answer = await (await serve())({ host: "localhost" }, "/api/logs", method);
      expect(answer.status).toBe(405);
      expect(answer.headers["allow"]).toBe("GET");
    },
  );

  test("is handed over with its path and query as they came", async () => {
    const answer = await (await serve())({ host: "localhost" }, "/api/jobs/a%2Fb?x=1&y=%20");
    expect(JSON.parse(answer.body)).toEqual({ path: "/api/jobs/a%2Fb", search: "x=1&y=%20" });
  });

  test("that the store is too busy for is answered 503 with when to come back", async () => {
    const ask = await serve({ ask: () => Promise.reject(new StoreError("busy", "64 questions are waiting")) });
    const answer = await ask({ host: "localhost" });
    expect(answer.status).toBe(503);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(JSON.parse(answer.body)).toEqual({ error: { message: "64 questions are waiting" } });
  });

  test("that meets a bug of ours is answered 500, and the next is answered", async () => {
    let count = 0;
    const ask = await serve({
      ask: () =>
        count++ === 0 ? Promise.reject(new TypeError("x is not a function")) : Promise.resolve(jsonAnswer(200, {})),
    });
    expect((await ask({ host: "localhost" })).status).toBe(500);
    expect((await ask({ host: "localhost" })).status).toBe(200);
  });

  test("for the root is answered with a plain page of what can be asked", async () => {
    const answer = await (await serve())({ host: "localhost" }, "/");
    expect(answer.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(answer.body).toContain("/api/jobs/JOB_ID");
  });
});

test("a busy port is an error that names it and the key to change", async () => {
  const first = new ApiServer({
    endpoint: { host: "127.0.0.1", port: 0 },
    owner: "exporters.local_store",
    token: undefined,
    ask: () => Promise.reject(new Error("unasked")),
  });
  const { port } = await first.listen();
  onTestFinished(() => first.close());
  await expect(serve({ endpoint: { host: "127.0.0.1", port } })).rejects.toThrow(new RegExp(`${port}`));
});
