/** The store's writer thread ends under the gateway: what it had in hand is written by the next one. */
import type { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import { localStoreExporterFactory } from "../../src/exporters/local_store/factory.ts";
import { Store } from "../../src/store/store.ts";
import { NO_HOST, recordingLogger, type LoggedLine } from "../exporters/test-exporter.ts";
import { admit, ledgerLine, openQueues, RecordingMeter } from "../queue/support.ts";
import { TestClock } from "../support/test-clock.ts";
import { eventually } from "../support/processes.ts";
import { systemClock } from "../../src/core/clock.ts";
import { logsRequest, NOON_MS, testLimits, type LogsPage } from "./store-fixtures.ts";

/** The threads that the process starts from now on. */
function watchThreads(): Worker[] {
  const threads: Worker[] = [];
  const note = (worker: Worker): void => void threads.push(worker);
  process.on("worker", note);
  onTestFinished(() => void process.off("worker", note));
  return threads;
}

/** A fault: the thread ends with whatever append it is given. */
function endWithAppends(worker: Worker): void {
  const post = worker.postMessage.bind(worker);
  worker.postMessage = (message: { request: { kind: string } }, ...rest: never[]) => {
    if (message.request.kind === "append") void worker.terminate();
    else post(message, ...rest);
  };
}

async function open(): Promise<{ store: Store; threads: Worker[]; logged: LoggedLine[] }> {
  const threads = watchThreads();
  const logged: LoggedLine[] = [];
  const store = await Store.open({ ...testLimits(), clock: new TestClock(NOON_MS), logger: recordingLogger(logged) });
  onTestFinished(() => store.close());
  return { store, threads, logged };
}

function append(store: Store, body: string): Promise<number> {
  const bytes = logsRequest([{ body }]);
  return store.append("logs", { slices: [bytes], size: bytes.length, itemCount: 1 });
}

async function bodiesIn(store: Store): Promise<string[]> {
  const { body } = await store.ask("/api/logs", "limit=1000");
  const { records } = JSON.parse(new TextDecoder().decode(body)) as LogsPage;
  return records.map(({ message }) => message);
}

describe("a writer thread that ends", () => {
  test("is started again, and what it had in hand is stored", async () => {
    const { store, threads, logged } = await open();
    await append(store, "before");
    const inFlight = Array.from({ length: 50 }, (_, index) => append(store, `line ${index}`));
    await threads[0]!.terminate();
    expect(await Promise.all(inFlight)).toEqual(Array.from({ length: 50 }, () => 1));
    await append(store, "after");
    const bodies = await bodiesIn(store);
    const expected = ["before", ...Array.from({ length: 50 }, (_, index) => `line ${index}`), "after"];
    expect(new Set(bodies)).toEqual(new Set(expected));
    // One whose answer was lost with the thread stands twice.
    expect(bodies.length - expected.length).toBeLessThanOrEqual(1);
    expect(logged.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^the store's writer-thread has ended \(exit code 1\); it is started again with the next batch/,
      ),
    ]);
  });

  test("again and again is given up for the batch alone, as ours to mend, and not for those that come after", async () => {
    const { store, threads } = await open();
    endWithAppends(threads[0]!);
    process.on("worker", endWithAppends);
    onTestFinished(() => void process.off("worker", endWithAppends));
    await expect(append(store, "never")).rejects.toMatchObject({
      kind: "internal",
      message: expect.stringContaining("a batch has ended 3 writer threads, and is given up"),
    });
    expect(threads).toHaveLength(3);
    process.off("worker", endWithAppends);
    expect(await append(store, "after")).toBe(1);
    expect(await bodiesIn(store)).toEqual(["after"]);
  });

  test("costs the queue in front of it nothing: everything is sent, and the ledger balances", async () => {
    const threads = watchThreads();
    const { directory } = testLimits();
    const config = localStoreExporterFactory.config.parse({ directory, endpoint: "127.0.0.1:0" });
    const settings = {
      id: { type: "local_store", name: "" },
      logger: recordingLogger([]),
      clock: systemClock,
      meter: new RecordingMeter(),
    };
    const exporter = localStoreExporterFactory.create(settings, config);
    await exporter.start(NO_HOST);
    const { queues } = openQueues([{ id: "local_store", sender: exporter }]);
    await queues.start();
    for (let index = 0; index < 200; index += 1) {
      const bytes = logsRequest([{ body: `line ${index}` }]);
      await admit(queues, ["local_store"], { slices: [bytes], size: bytes.length, itemCount: 1 });
      if (index === 60 || index === 120) void threads.at(-1)!.terminate();
    }
    const sent = await eventually(async () => {
      const line = ledgerLine(queues, "local_store");
      return line.queued + line.in_flight === 0 ? line : undefined;
    }, "an empty queue");
    expect(sent).toMatchObject({ admitted: 200, sent: 200, rejected: 0, expired: 0 });
    expect(threads.length).toBeGreaterThanOrEqual(2);
    queues.ledger.balance();
    await queues.shutdown(new AbortController().signal);
    await exporter.shutdown(new AbortController().signal);
  });
});
