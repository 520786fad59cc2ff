/** The real process over queue folders that are damaged, cut off, full, locked or not writable. */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { eventually, TestProcess } from "../support/processes.ts";
import { SLOW_TESTS } from "../support/slow-tests.ts";
import { CountingBackend, httpDoor, numberedRequest, type Answer } from "./numbered-load.ts";
import { repository, signalbox, TestFolder } from "./peers.ts";

/** Each costs a start and a stop. */
const PLACES = SLOW_TESTS ? 10 : 2;
const PER_REQUEST = 100;

function configOf(queue: string, backend: string, storage = "create_directory: true"): string {
  return `
extensions: { file_storage: { directory: "${queue}", ${storage} } }
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
exporters:
  otlp_http:
    endpoint: "${backend}"
    compression: none
    retry_on_failure: { initial_interval: 50ms, max_interval: 200ms, max_elapsed_time: 0s }
    sending_queue: { storage: file_storage, queue_size: 100000 }
service:
  extensions: [file_storage]
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`;
}

interface Running extends AsyncDisposable {
  readonly gateway: TestProcess;
  send(first: number): Promise<Answer>;
}

/** Up, and its door's address read from the banner. */
async function running(gateway: TestProcess): Promise<Running> {
  const address = await gateway.until((stdout) => /OTLP\/HTTP +(\S+)\n[\s\S]*who it is/.exec(stdout)?.[1]);
  const door = httpDoor(address.includes("://") ? address : `http://${address}`, 5000);
  return {
    gateway,
    send: (first) => door.send(numberedRequest(first, PER_REQUEST)),
    [Symbol.asyncDispose]: async () => {
      door.close();
      await gateway[Symbol.asyncDispose]();
    },
  };
}

function startOver(config: string): Promise<Running> {
  return running(signalbox(["run", "--config", config]));
}

/** All numbers of these requests are at the backend. */
async function awaitAll(backend: CountingBackend, count: number): Promise<void> {
  await eventually(async () => (backend.counts.size >= count ? true : undefined), `${count} records`, 30_000);
}

interface Left {
  readonly folder: TestFolder;
  readonly queue: string;
  readonly segment: string;
  readonly firsts: readonly number[];
}

/** What a gateway leaves that was killed with a MiB in its queue: one segment. */
async function leaveQueue(folder: TestFolder): Promise<Left> {
  const queue = join(folder.path, "left");
  const config = await folder.write("left.yaml", configOf(queue, "http://127.0.0.1:1"));
  await using first = await startOver(config);
  const firsts = Array.from({ length: 36 }, (_, index) => index * PER_REQUEST);
  for (const number of firsts) expect(await first.send(number)).toBe("ok");
  await first.gateway.stop("SIGKILL");
  const [segment] = readdirSync(queue).filter((name) => name.endsWith(".log"));
  expect(statSync(join(queue, segment!)).size).toBeGreaterThan(1024 * 1024);
  return { folder, queue, segment: segment!, firsts };
}

/** Starts over a damaged copy; everything that was not lost arrives once. */
async function startOverDamaged(
  left: Left,
  name: string,
  damage: (path: string) => void,
): Promise<{ lost: number; text: string }> {
  const queue = join(left.folder.path, name);
  cpSync(left.queue, queue, { recursive: true });
  damage(join(queue, left.segment));
  await using backend = await CountingBackend.listen();
  await using started = await startOver(await left.folder.write(`${name}.yaml`, configOf(queue, backend.url)));
  // A new one goes through behind all that was there.
  expect(await started.send(1_000_000)).toBe("ok");
  await eventually(async () => (backend.counts.has(1_000_000) ? true : undefined), "the new request");
  expect(await started.gateway.stop()).toBe(0);
  expect(backend.copies).toBe(0);
  const lost = left.firsts.filter((first) => !backend.counts.has(first)).length * PER_REQUEST;
  expect(backend.counts.size).toBe((left.firsts.length + 1) * PER_REQUEST - lost);
  return { lost, text: started.gateway.stderr + started.gateway.stdout };
}

/** Where frames begin, found by their magic. */
function boundariesOf(path: string): number[] {
  const bytes = readFileSync(path);
  const found: number[] = [];
  for (let at = bytes.indexOf("SBQF"); at >= 0; at = bytes.indexOf("SBQF", at + 4)) found.push(at);
  return found;
}

describe("a queue folder that is damaged while no gateway runs", () => {
  test(`with one bit flipped, at ${PLACES} places: starts, says what is lost and whose, delivers the rest once`, async () => {
    await using folder = await TestFolder.create();
    const left = await leaveQueue(folder);
    for (let place = 0; place < PLACES; place += 1) {
      const at = 1000 * (37 + place * 99);
      const { lost, text } = await startOverDamaged(left, `flip-${at}`, (path) => {
        const bytes = readFileSync(path);
        bytes[at]! ^= 1 << (place % 8);
        writeFileSync(path, bytes);
      });
      expect(lost, `byte ${at}`).toBeLessThanOrEqual(PER_REQUEST);
      if (lost === 0) expect(text).toContain("where everything stands twice: nothing is lost");
      else {
        expect(text).toContain(`the queue's storage is damaged: ${lost} log records for otlp_http are lost`);
        expect(text).toMatch(/damaged in 1 places, 1 records, \d+ bytes; what is left of them is kept in \S+damaged/);
        expect(readdirSync(join(folder.path, `flip-${at}`, "damaged"))).toHaveLength(1);
      }
      expect(text).toMatch(new RegExp(`damaged\\D+${lost}|nothing is lost`));
    }
  }, 240_000);

  test(`cut off at ${PLACES} records' boundaries, before, at and behind them: starts, names what is cut through, delivers the rest once`, async () => {
    await using folder = await TestFolder.create();
    const left = await leaveQueue(folder);
    const boundaries = boundariesOf(join(left.queue, left.segment));
    expect(boundaries.length).toBeGreaterThanOrEqual(left.firsts.length);
    for (let place = 0; place < PLACES; place += 1) {
      const offset = [-1, 0, 1, 32][place % 4]!;
      const boundary = boundaries[3 + place * 3]!;
      const { lost, text } = await startOverDamaged(left, `cut-${place}`, (path) =>
        truncateSync(path, boundary + offset),
      );
      expect(lost).toBeGreaterThanOrEqual((boundaries.length - 4 - place * 3) * PER_REQUEST);
      expect(text).not.toContain("cannot");
    }
  }, 240_000);
});

describe("a queue file that goes missing while no gateway runs", () => {
  test("after a kill: is named with its records and bytes, and new requests go through", async () => {
    await using folder = await TestFolder.create();
    const left = await leaveQueue(folder);
    const { lost, text } = await startOverDamaged(left, "removed", (path) => rmSync(path));
    expect(lost).toBe(left.firsts.length * PER_REQUEST);
    expect(text).toMatch(
      new RegExp(
        `${left.segment} is missing, the queue file that was written last: \\d+ records \\(1 to \\d+\\), \\d{7} bytes`,
      ),
    );
  }, 60_000);

  test("after a kill: records cut or zeroed off its end that were acknowledged are said to be damage, with their number", async () => {
    await using folder = await TestFolder.create();
    const left = await leaveQueue(folder);
    const end = boundariesOf(join(left.queue, left.segment)).at(-3)!;
    for (const name of ["cut", "zeroed"]) {
      const { lost, text } = await startOverDamaged(left, name, (path) => {
        const bytes = readFileSync(path);
        writeFileSync(
          path,
          name === "cut"
            ? bytes.subarray(0, end)
            : Buffer.concat([bytes.subarray(0, end), Buffer.alloc(bytes.length - end)]),
        );
      });
      expect(lost).toBeGreaterThan(0);
      expect(text).toMatch(/damaged in \d places, 3 records, \d+ bytes/);
      expect(text).not.toContain("not answered");
    }
  }, 60_000);
});

/** `num_consumers` when nobody writes another. */
const CONSUMERS = 10;

test("a gateway that is killed while its queue drains and nobody sends: only requests under way come again", async () => {
  await using folder = await TestFolder.create();
  await using backend = await CountingBackend.listen();
  await backend.close();
  const config = await folder.write("queue.yaml", configOf(join(folder.path, "queue"), backend.url));
  const requests = 240;
  {
    await using filled = await startOver(config);
    for (let request = 0; request < requests; request += 1) {
      expect(await filled.send(request * PER_REQUEST)).toBe("ok");
    }
    await filled.gateway.stop("SIGKILL");
  }
  backend.answerAfterMs = 20;
  await backend.open();
  const kills = 3;
  for (let kill = 1; kill <= kills; kill += 1) {
    await using draining = await startOver(config);
    await awaitAll(backend, (kill * requests * PER_REQUEST) / (kills + 1));
    await draining.gateway.stop("SIGKILL");
  }
  const atKills = backend.counts.size;
  expect(atKills).toBeLessThan(requests * PER_REQUEST);
  await using last = await startOver(config);
  await awaitAll(backend, requests * PER_REQUEST);
  expect(await last.gateway.stop()).toBe(0);
  expect(backend.unexplainedCopies).toEqual([]);
  expect(backend.copies).toBeLessThanOrEqual(kills * CONSUMERS * PER_REQUEST);
}, 60_000);

describe("a queue folder of another gateway", () => {
  test("is refused with that one's process, and taken over from one that was killed", async () => {
    await using folder = await TestFolder.create();
    await using backend = await CountingBackend.listen();
    const config = await folder.write("queue.yaml", configOf(join(folder.path, "queue"), backend.url));
    await using first = await startOver(config);
    await using second = signalbox(["run", "--config", config]);
    expect(await second.exit()).toBe(1);
    expect(second.stderr).toContain(`in use by another gateway (process ${first.gateway.pid}, since `);
    expect(second.stderr).toContain(
      "stop that one, or give this one a folder of its own: extensions.file_storage.directory",
    );
    await first.gateway.stop("SIGKILL");
    await using third = await startOver(config);
    expect(await third.send(0)).toBe("ok");
    await awaitAll(backend, PER_REQUEST);
    expect(await third.gateway.stop()).toBe(0);
  }, 60_000);
});

const MOUNT_HINT = "needs unshare(1) with a mount namespace";
const canMount = spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]).status === 0;

/** The gateway with a file system of its own for its queue. */
function signalboxOn(mount: string, queue: string, config: string): TestProcess {
  const main = join(repository, "src/main.ts");
  const command = `mkdir -p "${queue}" && mount -t tmpfs -o ${mount} none "${queue}" && exec "${process.execPath}" --conditions=signalbox-source "${main}" run --config "${config}"`;
  return new TestProcess("unshare", ["-rm", "sh", "-c", command], { cwd: repository });
}

describe.skipIf(!canMount)(`a small disk (${MOUNT_HINT})`, () => {
  test("that the queue fills: senders are refused with a hint, nothing accepted is lost, and the room returns", async () => {
    await using folder = await TestFolder.create();
    await using backend = await CountingBackend.listen();
    await backend.close();
    const queue = join(folder.path, "queue");
    const config = await folder.write("queue.yaml", configOf(queue, backend.url));
    await using small = await running(signalboxOn("size=4m,mode=700", queue, config));
    const acknowledged: number[] = [];
    let number = 0;
    const sendOne = async (): Promise<Answer> => {
      const first = number;
      number += PER_REQUEST;
      const answer = await small.send(first);
      if (answer === "ok") acknowledged.push(first);
      return answer;
    };
    while ((await sendOne()) === "ok");
    expect(acknowledged.length).toBeGreaterThan(50);
    for (let again = 0; again < 20; again += 1) expect(await sendOne()).toMatch(/ok|refused/);
    expect(small.gateway.stderr + small.gateway.stdout).toMatch(
      /the queue storage cannot write; requests of \d+ bytes and more are refused/,
    );
    await backend.open();
    await awaitAll(backend, acknowledged.length * PER_REQUEST);
    const before = acknowledged.length;
    await eventually(async () => ((await sendOne()) === "ok" ? true : undefined), "a request that is taken again");
    // Far more than the disk holds passes, by a sender that waits a little where it is refused.
    while (acknowledged.length < before + 200) if ((await sendOne()) !== "ok") await sleep(100);
    await awaitAll(backend, acknowledged.length * PER_REQUEST);
    expect(await small.gateway.stop()).toBe(0);
    expect([...backend.counts.keys()].toSorted((a, b) => a - b)).toEqual(
      acknowledged.flatMap((first) => Array.from({ length: PER_REQUEST }, (_, index) => first + index)),
    );
    expect(backend.copies).toBe(0);
    expect(small.gateway.stderr + small.gateway.stdout).toContain("the queue storage writes again");
  }, 120_000);

  test("that may only be read stops the start with what to do", async () => {
    await using folder = await TestFolder.create();
    const queue = join(folder.path, "queue");
    const config = await folder.write("queue.yaml", configOf(queue, "http://127.0.0.1:1"));
    await using gateway = signalboxOn("ro", queue, config);
    expect(await gateway.exit()).toBe(1);
    expect(gateway.stderr).toMatch(/extensions\.file_storage: the folder \S+queue: .*EROFS/);
    expect(gateway.stderr).toContain("make it a folder that this user may write");
  }, 30_000);
});

test("a bound on the size of a file (ulimit -f) begins a new segment, and refuses nobody", async () => {
  await using folder = await TestFolder.create();
  await using backend = await CountingBackend.listen();
  await backend.close();
  const queue = join(folder.path, "queue");
  const config = await folder.write("queue.yaml", configOf(queue, backend.url));
  const main = join(repository, "src/main.ts");
  const command = `ulimit -f 1100; exec "${process.execPath}" --conditions=signalbox-source "${main}" run --config "${config}"`;
  await using bounded = await running(new TestProcess("bash", ["-c", command], { cwd: repository }));
  for (let request = 0; request < 100; request += 1) expect(await bounded.send(request * PER_REQUEST)).toBe("ok");
  expect(readdirSync(queue).filter((name) => name.endsWith(".log")).length).toBeGreaterThan(2);
  await backend.open();
  await awaitAll(backend, 100 * PER_REQUEST);
  expect(await bounded.gateway.stop()).toBe(0);
  expect(backend.copies).toBe(0);
  expect(bounded.gateway.stderr + bounded.gateway.stdout).not.toContain("cannot write");
}, 60_000);

test("a bound on the size of a file below the reserve is said, and refuses nobody", async () => {
  await using folder = await TestFolder.create();
  await using backend = await CountingBackend.listen();
  const queue = join(folder.path, "queue");
  const config = await folder.write("queue.yaml", configOf(queue, backend.url));
  const main = join(repository, "src/main.ts");
  const command = `ulimit -f 200; exec "${process.execPath}" --conditions=signalbox-source "${main}" run --config "${config}"`;
  await using bounded = await running(new TestProcess("bash", ["-c", command], { cwd: repository }));
  for (let request = 0; request < 30; request += 1) expect(await bounded.send(request * PER_REQUEST)).toBe("ok");
  await awaitAll(backend, 30 * PER_REQUEST);
  expect(await bounded.gateway.stop()).toBe(0);
  const text = bounded.gateway.stderr + bounded.gateway.stdout;
  expect(text).toMatch(
    /keeps no room in reserve: \S+reserve would have 1048576 bytes \(EFBIG.*raise the bound on the size of a file \(ulimit -f\)/,
  );
  expect(text).toMatch(/could not make \S+recent: EFBIG/);
  expect(text).not.toContain("cannot write");
}, 60_000);
