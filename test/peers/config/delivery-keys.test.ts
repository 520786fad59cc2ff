import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findCollector, PEER_HINT } from "../find.ts";
import { Judge } from "./judge.ts";
import type { Case } from "./judge.ts";
import { ourVerdict } from "./ours.ts";

/**
 * `sending_queue`, `retry_on_failure` and `timeout` of an exporter, good and bad, put to the real Collector and to us.
 * A case that we decide otherwise has its reason here.
 */
interface Keys {
  readonly keys: string;
  readonly reason?: string;
}

const SIZES: readonly Keys[] = [
  { keys: "sending_queue: {}" },
  { keys: "sending_queue:" },
  { keys: "sending_queue: { enabled: false }" },
  {
    keys: "sending_queue: { enabled: false, queue_size: -1, num_consumers: 0 }",
  },
  { keys: "sending_queue: { queue_size: 0 }" },
  { keys: "sending_queue: { queue_size: -5 }" },
  { keys: "sending_queue: { queue_size: 1.5 }", reason: "the Collector cuts it to 1 without a word" },
  { keys: "sending_queue: { queue_size: many }" },
  {
    keys: "sending_queue: { queue_size: 9223372036854775807 }",
    reason: "no machine holds it: sums of sizes stay exact below 2^50",
  },
  { keys: "sending_queue: { queue_size: 99999999999999999999 }" },
  { keys: "sending_queue: { num_consumers: 0 }" },
  { keys: "sending_queue: { num_consumers: -1 }" },
  {
    keys: "sending_queue: { num_consumers: 100000 }",
    reason: "each consumer costs memory here; more than 10,000 at a backend are a slip",
  },
  { keys: "sending_queue: { sizer: bytes, queue_size: 1048576 }" },
  { keys: "sending_queue: { sizer: items }" },
  { keys: "sending_queue: { sizer: megabytes }" },
  { keys: "sending_queue: { sizer: null }" },
  { keys: "sending_queue: { queue_sise: 10 }" },
  { keys: "sending_queue: { block_on_overflow: true }" },
  { keys: "sending_queue: { block_on_overflow: sometimes }" },
  { keys: "sending_queue: { wait_for_result: true }" },
  { keys: "sending_queue: { wait_for_result: true, storage: file_storage }" },
  { keys: "sending_queue: { storage: null }" },
];

const BATCHES: readonly Keys[] = [
  { keys: "sending_queue: { batch: }" },
  { keys: "sending_queue: { batch: {} }" },
  { keys: "sending_queue: { batch: { min_size: 100, max_size: 200 } }" },
  { keys: "sending_queue: { batch: { min_size: 200, max_size: 100 } }" },
  { keys: "sending_queue: { batch: { min_size: 100, max_size: 100 } }" },
  { keys: "sending_queue: { batch: { max_size: 100 } }" },
  { keys: "sending_queue: { batch: { min_size: 0 } }" },
  { keys: "sending_queue: { batch: { min_size: -1 } }" },
  { keys: "sending_queue: { batch: { max_size: -1 } }" },
  { keys: "sending_queue: { batch: { flush_timeout: 0s } }" },
  { keys: "sending_queue: { batch: { flush_timeout: -1s } }" },
  {
    keys: "sending_queue: { batch: { flush_timeout: 10 } }",
    reason: "a bare number means nanoseconds there, which nobody wants",
  },
  { keys: "sending_queue: { batch: { flush_timeout: soon } }" },
  { keys: "sending_queue: { batch: { sizer: requests } }" },
  { keys: "sending_queue: { batch: { sizer: bytes } }" },
  { keys: "sending_queue: { sizer: items, queue_size: 100, batch: { min_size: 200 } }" },
  { keys: "sending_queue: { sizer: items, queue_size: 100, batch: { min_size: 100 } }" },
  { keys: "sending_queue: { sizer: items, queue_size: 100, batch: { sizer: bytes, min_size: 200 } }" },
  { keys: "sending_queue: { sizer: bytes, queue_size: 100, batch: { min_size: 200 } }" },
  { keys: "sending_queue: { queue_size: 100, batch: { sizer: items, min_size: 200 } }" },
  { keys: "sending_queue: { batch: { partition: { metadata_keys: [tenant, region] } } }" },
  { keys: "sending_queue: { batch: { partition: { metadata_keys: [tenant, Tenant] } } }" },
  { keys: "sending_queue: { batch: { partition: { metadata_keys: tenant } } }" },
  {
    keys: "sending_queue: { batch: { partition: { metadata_keys: [''] } } }",
    reason: "no header has an empty name, so all would share one batch",
  },
  { keys: "sending_queue: { batch: { partition: { cache_size: 0 } } }" },
  { keys: "sending_queue: { batch: { partition: { cache_size: -1 } } }" },
  { keys: "sending_queue: { batch: { partition: { idle_timeout: -1s } } }" },
  { keys: "sending_queue: { batch: { minsize: 1 } }" },
];

const RETRIES: readonly Keys[] = [
  { keys: "retry_on_failure: { enabled: false }" },
  { keys: "retry_on_failure: { initial_interval: 0s }" },
  { keys: "retry_on_failure: { initial_interval: -1s }" },
  { keys: "retry_on_failure: { max_interval: -1s }" },
  { keys: "retry_on_failure: { max_elapsed_time: -1s }" },
  { keys: "retry_on_failure: { max_elapsed_time: 0s }" },
  { keys: "retry_on_failure: { initial_interval: 10m }" },
  { keys: "retry_on_failure: { max_interval: 10m }" },
  { keys: "retry_on_failure: { initial_interval: 1m, max_interval: 10s }" },
  { keys: "retry_on_failure: { initial_interval: 10m, max_elapsed_time: 0s }" },
  {
    keys: "retry_on_failure: { multiplier: 0 }",
    reason: "waits that become shorter, or none, hammer a backend that is down",
  },
  { keys: "retry_on_failure: { multiplier: -1 }" },
  {
    keys: "retry_on_failure: { multiplier: 0.5 }",
    reason: "waits that become shorter, or none, hammer a backend that is down",
  },
  { keys: "retry_on_failure: { multiplier: 1 }" },
  { keys: "retry_on_failure: { randomization_factor: 0 }" },
  { keys: "retry_on_failure: { randomization_factor: 1 }" },
  { keys: "retry_on_failure: { randomization_factor: 1.1 }" },
  { keys: "retry_on_failure: { randomization_factor: -0.1 }" },
  { keys: "retry_on_failure: { enabled: false, max_elapsed_time: -1s }" },
  { keys: "retry_on_failure: { max_retries: 3 }" },
];

const TIMEOUTS: readonly Keys[] = [
  { keys: "timeout: 0s" },
  { keys: "timeout: -1s" },
  { keys: "timeout: 5", reason: "a bare number means nanoseconds there, which nobody wants" },
  { keys: "timeout: 1h" },
  { keys: "timeout: forever" },
];

const ALL = [...SIZES, ...BATCHES, ...RETRIES, ...TIMEOUTS];

function caseOf({ keys }: Keys): Case {
  const text = `
receivers: { otlp: { protocols: { grpc: } } }
exporters:
  otlp_grpc:
    endpoint: backend:4317
    ${keys}
service: { pipelines: { logs: { receivers: [otlp], exporters: [otlp_grpc] } } }
`;
  return { id: keys, configs: ["gateway.yaml"], files: { "gateway.yaml": text } };
}

const binary = findCollector();

describe("the keys of delivery beside the real Collector", { timeout: 180_000 }, () => {
  let judge: Judge;
  beforeAll(async () => {
    if (binary !== undefined) judge = await Judge.open(binary);
  });
  afterAll(() => judge?.[Symbol.asyncDispose]());

  it("are accepted and refused as there, but for those that have a reason", async (context) => {
    context.skip(binary === undefined, `the Collector is not there; ${PEER_HINT}`);
    const verdicts = await judge.verdicts("validate", ALL.map(caseOf));
    const differing = ALL.flatMap((asked, index) => {
      const theirs = verdicts[index]!;
      const ours = ourVerdict(caseOf(asked));
      if (ours.isAccepted === theirs.isAccepted) return [];
      return [{ keys: asked.keys, collector: theirs.isAccepted ? "accepted" : theirs.said, ours: ours.said }];
    });
    process.stdout.write(
      `keys of delivery: ${ALL.length - differing.length} of ${ALL.length} as the Collector does, ` +
        `${ALL.filter(({ reason }) => reason !== undefined).length} otherwise with a reason\n`,
    );
    const explained = ALL.filter(({ reason }) => reason !== undefined).map(({ keys }) => keys);
    expect(differing.filter(({ keys }) => !explained.includes(keys))).toEqual([]);
    expect(differing.map(({ keys }) => keys).toSorted()).toEqual(explained.toSorted());
  });

  it.for(ALL.filter((asked) => !ourVerdict(caseOf(asked)).isAccepted))(
    "$keys is refused with its line and what to write",
    (asked) => {
      const { said } = ourVerdict(caseOf(asked));
      expect(said).toMatch(/^gateway\.yaml:6:\d+ {2}exporters\.otlp_grpc\.\S+\n {2}.+\n {2}.+/);
    },
  );
});
