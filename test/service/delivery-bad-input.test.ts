import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { formatProblems } from "../../src/config/problem.ts";
import { loadGateway } from "../../src/service/load.ts";

/** The issue's list of bad input about delivery: each is told with its line and what to write. */
interface BadInput {
  readonly what: string;
  readonly exporters: string;
  readonly pipelines?: string;
  readonly extensions?: string;
  /** Of service.extensions. Default: [file_storage]. */
  readonly started?: string;
  readonly said: string;
}

const LOGS = "logs: { receivers: [otlp], exporters: [otlp_grpc] }";

const ERRORS: readonly BadInput[] = [
  {
    what: "a negative queue",
    exporters: "sending_queue:\n      queue_size: -1",
    said: 'x.yaml:8:19  exporters.otlp_grpc.sending_queue.queue_size\n  `queue_size` must be positive, found -1 (number)\n  write a whole number, at least 1, or with sizer: bytes a size such as "64MiB"',
  },
  {
    what: "an absurd queue",
    exporters: "sending_queue:\n      queue_size: 99999PiB",
    said: "x.yaml:8:19  exporters.otlp_grpc.sending_queue.queue_size",
  },
  {
    what: "keys that contradict each other",
    exporters: "sending_queue:\n      overflow: drop_oldest\n      block_on_overflow: true",
    said: 'x.yaml:8:17  exporters.otlp_grpc.sending_queue.overflow\n  `overflow: drop_oldest` contradicts `block_on_overflow: true`, found "drop_oldest" (string)\n  leave block_on_overflow out',
  },
  {
    what: "a queue that blocks and does not",
    exporters: "sending_queue:\n      overflow: block\n      block_on_overflow: false",
    said: 'x.yaml:8:17  exporters.otlp_grpc.sending_queue.overflow\n  `overflow: block` contradicts `block_on_overflow: false`, found "block" (string)\n  leave block_on_overflow out',
  },
  {
    what: "a size in bytes of a queue that counts requests",
    exporters: "sending_queue:\n      queue_size: 5MiB",
    said: 'x.yaml:8:19  exporters.otlp_grpc.sending_queue.queue_size\n  `queue_size` has a unit of bytes, but the queue counts requests, found "5MiB" (string)\n  write sizer: bytes beside it, or a number of requests without a unit',
  },
  {
    what: "a size in bytes of a batch that counts items",
    exporters: "sending_queue:\n      batch: { min_size: 0, max_size: 5MiB }",
    said: 'x.yaml:8:39  exporters.otlp_grpc.sending_queue.batch.max_size\n  `max_size` has a unit of bytes, but the batch counts items, found "5MiB" (string)\n  write sizer: bytes beside it, or a number of items without a unit',
  },
  {
    what: "a batch that can never be",
    exporters: "sending_queue:\n      batch: { min_size: 200, max_size: 100 }",
    said: "x.yaml:8:41  exporters.otlp_grpc.sending_queue.batch.max_size\n  `max_size` (100) must be greater or equal to `min_size` (200), found 100 (number)\n  write at least 200, or 0 for no upper bound",
  },
  {
    what: "a batch larger than the queue",
    exporters: "sending_queue:\n      sizer: items\n      queue_size: 100\n      batch: { min_size: 200 }",
    said: "x.yaml:10:26  exporters.otlp_grpc.sending_queue.batch.min_size\n  `min_size` must be less than or equal to `queue_size`, found 200 (number)\n  write at most 100, or a larger queue_size",
  },
  {
    what: "wait_for_result with storage",
    exporters: "sending_queue:\n      storage: file_storage\n      wait_for_result: true",
    said: "x.yaml:9:24  exporters.otlp_grpc.sending_queue.wait_for_result\n  `wait_for_result` is not supported with a persistent queue configured with `storage`, found true (boolean)\n  leave one of the two out",
  },
  {
    what: "a storage that is named and not configured",
    exporters: "sending_queue:\n      storage: file_storage/other",
    said: 'x.yaml:8:16  exporters.otlp_grpc.sending_queue.storage\n  references extension "file_storage/other" which is not configured\n  add file_storage/other: under extensions',
  },
  {
    what: "a storage that is not in service.extensions",
    exporters: "sending_queue:\n      storage: file_storage",
    started: "[]",
    said: 'x.yaml:8:16  exporters.otlp_grpc.sending_queue.storage\n  references extension "file_storage", which is not started\n  add file_storage to service.extensions',
  },
  {
    what: "an extension that is no storage",
    exporters: "sending_queue:\n      storage: health_check",
    extensions: "health_check: {}",
    started: "[health_check]",
    said: 'x.yaml:8:16  exporters.otlp_grpc.sending_queue.storage\n  references extension "health_check", which is not a storage\n  name a file_storage',
  },
  {
    what: "required queues of one receiver in different storages",
    exporters:
      "sending_queue:\n      storage: file_storage\n  otlp_grpc/2:\n    endpoint: b:1\n    sending_queue:\n      storage: file_storage/2",
    pipelines: "logs: { receivers: [otlp], exporters: [otlp_grpc, otlp_grpc/2] }",
    extensions: "file_storage: { directory: /tmp/a }, file_storage/2: { directory: /tmp/b }",
    started: "[file_storage, file_storage/2]",
    said: 'x.yaml:12:16  exporters.otlp_grpc/2.sending_queue.storage\n  references extension "file_storage/2" beside "file_storage": one gateway has one storage, so that an admission is one decision on disk too\n  write file_storage',
  },
];

const WARNINGS: readonly BadInput[] = [
  {
    what: "a queue smaller than the largest request the door takes",
    exporters: "sending_queue:\n      sizer: bytes\n      queue_size: 1MiB",
    said: "x.yaml:9:19  exporters.otlp_grpc.sending_queue.queue_size\n  holds 1048576 bytes, but otlp takes requests of up to 67108864 bytes: a larger one than the queue is refused for good\n  write at least 67108864, or let the receiver take less",
  },
  {
    what: "a queue smaller than an ordinary request",
    exporters: "sending_queue:\n      sizer: items\n      queue_size: 511",
    said: "x.yaml:9:19  exporters.otlp_grpc.sending_queue.queue_size\n  holds 511 items, but an ordinary request brings up to 512: a larger one than the queue is refused for good\n  write at least 512, or as many as your largest request holds",
  },
  {
    what: "a storage smaller than the largest request the door takes",
    exporters: "sending_queue:\n      storage: file_storage",
    extensions: "file_storage: { directory: /signalbox-none/queue, max_size: 2MiB }",
    said: "x.yaml:2:75  extensions.file_storage.max_size\n  keeps requests of up to 1768448 bytes, but otlp takes requests of up to 67108864 bytes: a larger one than the storage keeps is refused for good\n  write at least 70MiB, or let the receiver take less",
  },
  {
    what: "a batch of a queue that is off",
    exporters: "sending_queue:\n      enabled: false\n      batch: {}",
    said: "x.yaml:9:7  exporters.otlp_grpc.sending_queue.batch\n  has no effect: with `enabled: false` each request is sent on its own\n  leave one of the two out",
  },
  {
    what: "a batch with wait_for_result",
    exporters: "sending_queue:\n      wait_for_result: true\n      batch: {}",
    said: "x.yaml:9:7  exporters.otlp_grpc.sending_queue.batch\n  has no effect: with `wait_for_result: true` each request is sent on its own\n  leave one of the two out",
  },
  {
    what: "a batch that waits for ever",
    exporters: "sending_queue:\n      batch: { flush_timeout: 999999h }",
    said: 'x.yaml:8:31  exporters.otlp_grpc.sending_queue.batch.flush_timeout\n  lets a batch that does not fill wait for 999999 hours before it is sent\n  write "200ms", or some seconds',
  },
  {
    what: "batches by headers that no receiver passes on",
    exporters: "sending_queue:\n      batch: { partition: { metadata_keys: [tenant] } }",
    said: "x.yaml:8:29  exporters.otlp_grpc.sending_queue.batch.partition.metadata_keys\n  keeps batches apart by headers of senders, but no receiver of its pipelines passes them on (otlp): all share one\n  write include_metadata: true under the receiver's protocols",
  },
  {
    what: "a storage of a queue that is off",
    exporters: "sending_queue:\n      enabled: false\n      storage: file_storage",
    said: "x.yaml:9:16  exporters.otlp_grpc.sending_queue.storage\n  names file_storage, but `enabled: false` leaves no queue to keep there\n  leave one of the two out",
  },
  {
    what: "a storage folder that is missing",
    exporters: "sending_queue:\n      storage: file_storage",
    extensions: "file_storage: { directory: /signalbox-none/queue }",
    said: "x.yaml:2:42  extensions.file_storage.directory\n  the folder /signalbox-none/queue does not exist: here the gateway would not start\n  create it, or write create_directory: true",
  },
  {
    what: "a storage folder that is a file",
    exporters: "sending_queue:\n      storage: file_storage",
    extensions: `file_storage: { directory: ${JSON.stringify(import.meta.filename)} }`,
    said: `the folder ${import.meta.filename} is a file: here the gateway would not start\n  name a folder`,
  },
  {
    what: "a storage folder that is to be created under a file",
    exporters: "sending_queue:\n      storage: file_storage",
    extensions: `file_storage: { directory: ${JSON.stringify(join(import.meta.filename, "queue"))}, create_directory: true }`,
    said: `the folder ${import.meta.filename}/queue cannot be created: ${import.meta.filename} is a file: here the gateway would not start\n  name a folder`,
  },
  {
    what: "a pipeline without a required destination",
    exporters: "sending_queue:\n      required: false",
    said: "service.pipelines.logs.exporters\n  has no required destination: what is accepted may be dropped\n  add one, or write required: true under the sending_queue of one of its exporters",
  },
  {
    what: "a destination without a queue beside another",
    exporters: "sending_queue:\n      wait_for_result: true\n  otlp_grpc/2:\n    endpoint: b:1",
    pipelines: "logs: { receivers: [otlp], exporters: [otlp_grpc, otlp_grpc/2] }",
    said: "x.yaml:8:24  exporters.otlp_grpc.sending_queue.wait_for_result\n  sends while the sender waits, beside otlp_grpc/2: when one of them refuses, what this one got comes again (at-least-once)\n  leave wait_for_result out",
  },
];

async function load({ exporters, pipelines = LOGS, extensions, started = "[file_storage]" }: BadInput) {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-bad-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const text = `receivers: { otlp: { protocols: { http: } } }
extensions: { ${extensions ?? `file_storage: { directory: "${folder}" }`} }
service: { extensions: ${started}, pipelines: { ${pipelines} } }
exporters:
  otlp_grpc:
    endpoint: a:1
    ${exporters}
`;
  return loadGateway({ files: [{ name: "x.yaml", text }], env: {}, processorFolders: [] });
}

describe("bad input about delivery", () => {
  it.for(ERRORS)("$what is an error with its line and its fix", async (bad) => {
    const loaded = await load(bad);
    expect(loaded.ok).toBe(false);
    if (!loaded.ok) expect(formatProblems(loaded.problems)).toContain(bad.said);
  });

  it.for(WARNINGS)("$what is a warning with its line and its fix", async (bad) => {
    const loaded = await load(bad);
    expect(loaded.ok).toBe(true);
    expect(formatProblems(loaded.warnings)).toContain(bad.said);
  });

  // Folders that root may not write either.
  it.runIf(process.platform === "linux").for([
    [
      "{ directory: /proc/x/queue, create_directory: true }",
      "/proc/x/queue cannot be created: /proc takes no folders",
      "name a folder on a disk",
    ],
    [
      "{ directory: /proc/sys }",
      "/proc/sys cannot be used (EACCES)",
      "make it a folder that the gateway's user may write",
    ],
  ] as const)("a storage folder that cannot be written is a warning: %s", async ([storage, found, fix]) => {
    const loaded = await load({
      what: "",
      exporters: "sending_queue:\n      storage: file_storage",
      extensions: `file_storage: ${storage}`,
      said: "",
    });
    expect(formatProblems(loaded.ok ? loaded.warnings : [])).toContain(
      `x.yaml:2:42  extensions.file_storage.directory\n  the folder ${found}: here the gateway would not start\n  ${fix}`,
    );
  });

  it("says nothing of a queue that holds an ordinary request, nor of a folder that is to be created", async () => {
    const loaded = await load({
      what: "",
      exporters: "sending_queue: { sizer: items, queue_size: 512, storage: file_storage }",
      extensions: "file_storage: { directory: /signalbox-none/queue, create_directory: true }",
      said: "",
    });
    expect(formatProblems(loaded.warnings)).toBe("");
  });

  it("says nothing of a storage that holds the largest request", async () => {
    const loaded = await load({
      what: "",
      exporters: "sending_queue: { storage: file_storage }",
      extensions: "file_storage: { directory: /signalbox-none/queue, create_directory: true, max_size: 70MiB }",
      said: "",
    });
    expect(formatProblems(loaded.warnings)).toBe("");
  });

  it("says nothing of a queue in bytes that holds the largest request", async () => {
    const loaded = await load({ what: "", exporters: "sending_queue: { sizer: bytes, queue_size: 64MiB }", said: "" });
    expect(formatProblems(loaded.warnings)).not.toContain("queue_size");
  });
});
