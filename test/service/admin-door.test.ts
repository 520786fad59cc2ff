import { existsSync, mkdtempSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AdminRefusal, askAdmin } from "../../src/cli/admin-client.ts";
import { AdminDoor, AdminError } from "../../src/service/admin-door.ts";
import type { AdminRoute } from "../../src/service/admin-door.ts";
import { RecordingLogger } from "../queue/support.ts";

let folder: string;
let door: AdminDoor | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "signalbox-admin-"));
});

afterEach(async () => {
  await door?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function open(at: string, ...routes: AdminRoute[]): Promise<void> {
  door = new AdminDoor({ folder: at, logger: new RecordingLogger() });
  door.add(...routes);
  await door.start();
}

async function collect(lines: AsyncIterable<unknown> | undefined): Promise<unknown[]> {
  const collected: unknown[] = [];
  for await (const line of lines ?? []) collected.push(line);
  return collected;
}

const echo: AdminRoute = {
  method: "POST",
  path: "/echo",
  answer: ({ query, body }) => ({ json: { query: Object.fromEntries(query), body } }),
};

describe("the admin door", () => {
  test("answers a question of the command line, on a socket that only its own user may use", async () => {
    await open(folder, echo);
    const answer = await askAdmin(folder, { method: "POST", path: "/echo", query: { a: "1" }, body: { ids: ["x"] } });
    expect(await collect(answer)).toEqual([{ query: { a: "1" }, body: { ids: ["x"] } }]);
    expect(statSync(join(folder, "admin.sock")).mode & 0o777).toBe(0o600);
  });

  test("sends many lines", async () => {
    const lines = async function* (): AsyncGenerator {
      for (let line = 0; line < 5000; line += 1) yield { line, text: "x".repeat(100) };
    };
    await open(folder, { method: "GET", path: "/lines", answer: () => ({ lines: lines() }) });
    expect(await collect(await askAdmin(folder, { method: "GET", path: "/lines" }))).toHaveLength(5000);
  });

  test("says why it refuses, and what it does not know", async () => {
    const refusing: AdminRoute = {
      method: "GET",
      path: "/no",
      answer: () => {
        throw new AdminError(400, "no such filter\n  write destination=...");
      },
    };
    await open(folder, refusing);
    await expect(askAdmin(folder, { method: "GET", path: "/no" })).rejects.toThrow(
      new AdminRefusal("no such filter\n  write destination=..."),
    );
    await expect(askAdmin(folder, { method: "GET", path: "/other" })).rejects.toThrow("knows no GET /other");
  });

  test("an answer that breaks in the middle is no whole answer", async () => {
    const lines = async function* (): AsyncGenerator {
      yield { line: 1 };
      throw new Error("a damaged record");
    };
    await open(folder, { method: "GET", path: "/lines", answer: () => ({ lines: lines() }) });
    await expect(askAdmin(folder, { method: "GET", path: "/lines" }).then(collect)).rejects.toThrow();
  });

  test("nobody listening is no error: before, after, and with the socket of a gateway that was killed", async () => {
    expect(await askAdmin(folder, { method: "GET", path: "/echo" })).toBeUndefined();
    await open(folder, echo);
    await door?.stop();
    expect(existsSync(join(folder, "admin.sock"))).toBe(false);
    expect(await askAdmin(folder, { method: "GET", path: "/echo" })).toBeUndefined();
    writeFileSync(join(folder, "admin.sock"), "");
    expect(await askAdmin(folder, { method: "GET", path: "/echo" })).toBeUndefined();
    await open(folder, echo);
    expect(await collect(await askAdmin(folder, { method: "POST", path: "/echo" }))).toHaveLength(1);
  });

  test.runIf(process.platform === "linux")(
    "works in a folder whose path is longer than a socket's may be",
    async () => {
      const deep = join(folder, "a".repeat(100), "b".repeat(100));
      mkdirSync(deep, { recursive: true });
      await open(deep, echo);
      expect(await collect(await askAdmin(deep, { method: "POST", path: "/echo" }))).toHaveLength(1);
      await door?.stop();
      expect(existsSync(join(deep, "admin.sock"))).toBe(false);
    },
  );
});
