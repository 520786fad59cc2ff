import assert from "node:assert/strict";
import { admitBatch } from "../../src/core/admit-batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Processor } from "../../src/core/component.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { Signal } from "../../src/core/signal.ts";
import { createQueues, exporterEntry, type Queues } from "../../src/queue/queues.ts";
import { testSettings } from "../exporters/test-exporter.ts";
import { queueConfig, retryConfig, TestSender } from "../queue/support.ts";
import type { ContractPromise, Instance, ProcessorCase } from "./contract.ts";
import { BEHAVIOURS, FlakyConsumer, KIND_OF } from "../../src/sdk/contract/flaky-consumer.ts";
import { lifecyclePromises } from "./lifecycle-promises.ts";
import { batchOf, oneRequest, requestsOf, signalsOf } from "./requests.ts";
import { inTime, shutDown, Stage, StageAdmission } from "./stage.ts";

/** One processor in the pipelines of all its signals, with one consumer behind all of them. */
class Rig {
  readonly next = new FlakyConsumer();
  readonly subject: ProcessorCase;
  readonly processors: ReadonlyMap<Signal, Processor>;

  constructor(stage: Stage, subject: ProcessorCase, config: unknown, name?: string) {
    const { factory } = subject;
    this.subject = subject;
    // Once for all signals, as the service does: pipelines that name one id share its configuration.
    const parsed = factory.config.parse(config);
    const settings = stage.settings(factory.type, name);
    this.processors = new Map(
      signalsOf(factory).map((signal) => [signal, factory.create(signal, settings, parsed, this.next.for())]),
    );
  }

  static async start(stage: Stage, subject: ProcessorCase, config = subject.config): Promise<Rig> {
    const rig = new Rig(stage, subject, config);
    await stage.start(rig.components);
    return rig;
  }

  get components(): readonly Processor[] {
    return [...this.processors.values()];
  }

  get mutatesData(): boolean {
    return this.components.some((processor) => processor.mutatesData);
  }

  get instance(): Instance {
    const work = async (): Promise<void> => {
      for (const signal of this.processors.keys()) await this.consume(signal, oneRequest(signal));
    };
    return { components: this.components, work };
  }

  /** As the graph calls it: what a component throws before it gives a promise is a rejection, too. */
  async consume(
    signal: Signal,
    bytes: Uint8Array,
    admission = admissionUntil(Number.POSITIVE_INFINITY),
  ): Promise<void> {
    const batch = batchOf(signal, bytes);
    try {
      await inTime(this.#call(signal, batch, admission), "consume()");
    } finally {
      batch.release();
    }
  }

  async #call(signal: Signal, batch: ReturnType<typeof batchOf>, admission: StageAdmission): Promise<void> {
    await this.processors.get(signal)!.consume(batch, admission);
  }
}

function admissionUntil(deadline: number): StageAdmission {
  return new StageAdmission({ client: ClientMetadata.internal, opener: "receiver test", deadline });
}

const lifecycle = lifecyclePromises<ProcessorCase>({
  open: async (subject, stage, name) => ({
    create: () => new Rig(stage, subject, subject.config, name).instance,
  }),
  createWith: (subject, stage, config) => new Rig(stage, subject, config).instance,
});

type Holds = (rig: Rig, stage: Stage) => Promise<void>;

function onStage(holds: Holds, config?: (subject: ProcessorCase) => unknown) {
  return {
    holds: async (subject: ProcessorCase): Promise<void> => {
      await using stage = new Stage();
      await holds(await Rig.start(stage, subject, config?.(subject) ?? subject.config), stage);
      assert.deepEqual(stage.strays, [], "something was thrown that nobody could catch");
    },
  };
}

function mutatesData({ factory, config }: ProcessorCase): boolean {
  const settings = testSettings(factory.type);
  const parsed = factory.config.parse(config);
  const create = (signal: Signal): Processor => factory.create(signal, settings, parsed, new FlakyConsumer().for());
  return signalsOf(factory).some((signal) => create(signal).mutatesData);
}

export const PROCESSOR_PROMISES: readonly ContractPromise<ProcessorCase>[] = [
  ...lifecycle,
  {
    name: "hands every item on, or the pipeline's account says that it dropped it",
    ...onStage(async (rig, stage) => {
      for (const signal of rig.processors.keys()) {
        const { queues, take } = await openPipeline(stage, rig.subject, signal);
        for (const bytes of requestsOf(signal)) await take(bytes);
        queues.ledger.balance();
        const [line] = queues.ledger.snapshot().pipelines;
        const dropped = Object.values(line!.dropped).reduce((sum, items) => sum + items, 0);
        assert.equal(line!.incoming, line!.admitted + dropped, "created, or still held");
        if (!rig.mutatesData) assert.equal(dropped, 0, "dropped by a processor that does not edit");
      }
    }),
  },
  {
    name: "edits nothing",
    sparedBy: (subject) => (mutatesData(subject) ? "declares mutatesData" : undefined),
    ...onStage(async (rig) => {
      for (const signal of rig.processors.keys()) {
        for (const bytes of requestsOf(signal)) {
          const wanted = Buffer.concat(batchOf(signal, bytes).encode().slices);
          await rig.consume(signal, bytes);
          assert.deepEqual(rig.next.seen.at(-1)?.bytes, wanted);
        }
      }
    }),
  },
  {
    name: "leaves a batch that it does not touch as it came, byte by byte",
    sparedBy: (subject) => (mutatesData(subject) ? undefined : "edits nothing"),
    ...onStage(
      async (rig) => {
        const { idle } = rig.subject;
        assert.ok(idle !== undefined, "the case of a processor that edits names a request that it leaves alone");
        for (const signal of rig.processors.keys()) {
          const bytes = idle.request(signal);
          await rig.consume(signal, bytes);
          assert.deepEqual(rig.next.seen.at(-1)?.bytes, Buffer.from(bytes), signal);
        }
      },
      ({ idle }) => idle?.config,
    ),
  },
  {
    name: "changes nothing of the bytes that its batch was made from, which others read too",
    ...onStage(async (rig) => {
      for (const signal of rig.processors.keys()) {
        for (const bytes of requestsOf(signal)) {
          const copy = Uint8Array.from(bytes);
          await rig.consume(signal, bytes);
          assert.deepEqual(bytes, copy);
        }
      }
    }),
  },
  {
    name: "settles every batch, whatever the rest of the pipeline does, and passes a refusal on as it is",
    ...onStage(async (rig) => {
      for (const behaviour of BEHAVIOURS) {
        rig.next.behaviour = behaviour;
        for (const signal of rig.processors.keys()) {
          const before = rig.next.seen.length;
          const error = await rig.consume(signal, oneRequest(signal)).then(
            () => undefined,
            (thrown: unknown) => ConsumeError.from(thrown),
          );
          assert.equal(error?.kind, rig.next.seen.length > before ? KIND_OF[behaviour] : undefined, behaviour);
        }
      }
    }),
  },
  {
    name: "keeps no view of a batch once it is consumed",
    ...onStage(async (rig, stage) => {
      for (const behaviour of BEHAVIOURS) {
        rig.next.behaviour = behaviour;
        // Released by the rig as soon as consume() has settled: whoever looks again throws, and is found.
        for (const signal of rig.processors.keys()) await rig.consume(signal, oneRequest(signal)).catch(ignoreRefusal);
      }
      await stage.clock.advance(600_000);
      await shutDown(rig.components);
      await stage.clock.advance(600_000);
      assert.deepEqual(
        stage.logged.filter((line) => /released|no longer valid/.test(line)),
        [],
      );
    }),
  },
  {
    name: "keeps batches apart that it has at the same time",
    ...onStage(async (rig) => {
      for (const signal of rig.processors.keys()) {
        const requests = requestsOf(signal);
        const alone: string[] = [];
        for (const bytes of requests) alone.push(...(await outputOf(rig, () => rig.consume(signal, bytes))));
        const gate = Promise.withResolvers<void>();
        rig.next.gate = gate.promise;
        const together = outputOf(rig, () => Promise.all(requests.map((bytes) => rig.consume(signal, bytes))));
        gate.resolve();
        assert.deepEqual((await together).toSorted(), alone.toSorted(), signal);
        rig.next.gate = undefined;
      }
    }),
  },
  {
    name: "gives up at the sender's deadline where it waits",
    sparedBy: ({ endless }) => (endless === undefined ? "waits for nothing of its own" : undefined),
    ...onStage(
      async (rig, stage) => {
        for (const signal of rig.processors.keys()) {
          const waiting = rig.consume(signal, oneRequest(signal), admissionUntil(stage.clock.nowMs() + 2_000));
          const settled = assert.rejects(waiting, (error) => error instanceof ConsumeError && error.isRetryable);
          await stage.clock.advance(2_000);
          await settled;
        }
        assert.equal(rig.next.seen.length, 0);
        assert.equal(stage.clock.timerCount, 0, "timers left");
      },
      ({ endless }) => endless,
    ),
  },
  {
    name: "hands nothing on after its shutdown, and refuses what still comes for now",
    ...onStage(async (rig, stage) => {
      await rig.instance.work();
      await shutDown(rig.components);
      const before = rig.next.seen.length;
      await stage.clock.advance(3_600_000);
      assert.equal(rig.next.seen.length, before);
      for (const signal of rig.processors.keys()) {
        const late = rig.consume(signal, oneRequest(signal));
        await assert.rejects(late, (error) => error instanceof ConsumeError && error.kind === "refused", signal);
      }
      assert.equal(rig.next.seen.length, before, "handed on after the shutdown");
    }),
  },
];

/** The processor in a pipeline as the graph builds it, with the real ledger around it and the real queue behind it. */
async function openPipeline(
  stage: Stage,
  { factory, config }: ProcessorCase,
  signal: Signal,
): Promise<{ queues: Queues; take: (bytes: Uint8Array) => Promise<void> }> {
  const settings = stage.settings(factory.type);
  const destination = {
    id: "out",
    sender: new TestSender(),
    queue: queueConfig(),
    retry: retryConfig(),
    timeoutMs: 0,
    delivery: "required" as const,
    signals: [signal],
  };
  const queues = createQueues({ ...settings, destinations: [destination] });
  const account = queues.ledger.pipeline(signal, signal, [{ processor: factory.type, shortfall: "dropped" }]);
  const next = account.at(1, exporterEntry(queues, "out"));
  const processor = factory.create(signal, settings, factory.config.parse(config), next);
  await queues.start();
  await stage.start([processor]);
  stage.onEnd(async () => void (await queues.shutdown(AbortSignal.abort())));
  const opened = { client: ClientMetadata.internal, opener: "receiver test" };
  return { queues, take: (bytes) => admitBatch(queues, account.at(0, processor), batchOf(signal, bytes), opened) };
}

async function outputOf(rig: Rig, act: () => Promise<unknown>): Promise<string[]> {
  const before = rig.next.seen.length;
  await act();
  return rig.next.seen.slice(before).map(({ bytes }) => bytes.toString("hex"));
}

function ignoreRefusal(thrown: unknown): void {
  if (!(thrown instanceof ConsumeError) && !(thrown instanceof TypeError) && !(thrown instanceof RangeError))
    throw thrown;
}
