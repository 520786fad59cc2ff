import assert from "node:assert/strict";
import { createBatch } from "../../core/batch.ts";
import { ClientMetadata } from "../../core/client-metadata.ts";
import { ConsumeError } from "../../core/errors.ts";
import type { Signal } from "../../core/signal.ts";
import { joinSlices } from "../../wire/otlp/payload.ts";
import { settle } from "../manual-clock.ts";
import type { ContractSettings, Subject } from "./contract.ts";
import { BEHAVIOURS, KIND_OF } from "./flaky-consumer.ts";
import { Trial } from "./trial.ts";

interface ProcessorPromise {
  readonly name: string;
  /** Whether the settings ask for it. Default: always. */
  readonly applies?: (settings: ContractSettings) => boolean;
  readonly holds: (subject: Subject) => Promise<void>;
}

type Holds = (trial: Trial, subject: Subject) => Promise<void>;

function onTrial(holds: Holds): Pick<ProcessorPromise, "holds"> {
  return {
    holds: async (subject) => {
      await using trial = await Trial.start(subject.processor, subject.trial);
      await holds(trial, subject);
    },
  };
}

/** The same for each request of each signal. */
function onRequests(
  holds: (trial: Trial, signal: Signal, bytes: Uint8Array, subject: Subject) => Promise<void>,
): Pick<ProcessorPromise, "holds"> {
  return onTrial(async (trial, subject) => {
    for (const signal of subject.processor.signals) {
      for (const [index, bytes] of subject.requests(signal).entries()) {
        await unlessThrown(trial, subject, () =>
          named(`${signal} request ${index}`, holds(trial, signal, bytes, subject)),
        );
      }
    }
  });
}

/** A processor that throws on purpose keeps its promises on the other requests. */
async function unlessThrown(trial: Trial, { settings }: Subject, act: () => Promise<void>): Promise<void> {
  trial.thrown = undefined;
  try {
    await act();
  } catch (error) {
    if (settings.throws !== true || trial.thrown === undefined) throw error;
  }
}

/** Says of which request an error speaks. */
async function named(what: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

export const PROMISES: readonly ProcessorPromise[] = [
  {
    name: "takes its configuration, and leaves it as it was written",
    holds: async ({ processor, trial }) => {
      const before = structuredClone(trial.config);
      const first: unknown = processor.config.parse(trial.config);
      assert.deepEqual(processor.config.parse(trial.config), first, "parsed twice, it is not the same");
      assert.deepEqual(trial.config, before, "the schema changed what it was given");
    },
  },
  {
    name: "is created without side effects, and shut down without a start, twice",
    holds: async (subject) => {
      await using trial = new Trial(subject.processor, subject.trial);
      assert.equal(trial.clock.timerCount, 0, "create() set a timer; set it in start()");
      const { activity } = trial;
      assertNone([...activity.takeBegun(), ...activity.files()], "create() began; begin it in start()");
      await trial.shutdown();
      await trial.shutdown();
      await trial.wait(3_600_000);
      assertNone(activity.takeBegun(), "an instance that never started began");
      assert.equal(trial.said, 0, "an instance that never started counted or logged something");
    },
  },
  {
    name: "is shut down twice, and leaves no timer, connection, file, process or thread behind",
    ...onTrial(async (trial, subject) => {
      await deliverAll(trial, subject);
      await trial.shutdown();
      await trial.shutdown();
      assert.equal(trial.clock.timerCount, 0, "timers left; cancel them in shutdown()");
      await settleTimers();
      assertNone(trial.activity.timers(), "timers left; clear them in shutdown()");
      assertNone(await trial.leftOpen(), "left open; close it in shutdown()");
    }),
  },
  {
    name: "ends its shutdown soon where there is no patience left",
    ...onTrial(async (trial, subject) => {
      await deliverAll(trial, subject);
      await trial.shutdown(AbortSignal.abort());
    }),
  },
  {
    name: "does, counts and logs nothing after its shutdown",
    ...onTrial(async (trial, subject) => {
      await deliverAll(trial, subject);
      await trial.shutdown();
      const [seen, said] = [trial.next.seen.length, trial.said];
      trial.activity.takeBegun();
      await trial.wait(3_600_000);
      await trial.aftermath();
      assert.equal(trial.next.seen.length, seen, "handed on");
      assert.equal(trial.said, said, "counted or logged");
      assertNone(trial.activity.takeBegun(), "began after its shutdown");
    }),
  },
  {
    name: "takes an empty request",
    ...onTrial(async (trial, subject) => {
      for (const signal of subject.processor.signals) {
        await unlessThrown(trial, subject, () => named(signal, trial.deliver(signal, new Uint8Array(0))));
      }
      assert.equal(trial.next.seen.length, 0, "made records out of nothing");
    }),
  },
  {
    name: "takes every valid request, also with fields that stand twice or are not known",
    ...onRequests((trial, signal, bytes) => trial.deliver(signal, bytes)),
  },
  {
    name: "hands on every record",
    applies: ({ drops = false }) => drops === false,
    ...onRequests(async (trial, signal, bytes) => {
      assert.equal(
        await itemsAfter(trial, signal, bytes),
        itemsOf(signal, bytes),
        "records are missing; drops says that they may be",
      );
    }),
  },
  {
    name: "counts each record that it drops",
    applies: ({ drops }) => typeof drops === "string",
    ...onRequests(async (trial, signal, bytes, { settings }) => {
      const event = String(settings.drops);
      const before = trial.counted(event);
      const dropped = itemsOf(signal, bytes) - (await itemsAfter(trial, signal, bytes));
      assert.equal(trial.counted(event) - before, dropped, `counted as "${event}", and dropped`);
    }),
  },
  {
    name: "edits nothing",
    applies: ({ mutatesData }) => mutatesData === false,
    ...onRequests(async (trial, signal, bytes) => {
      const output = await trial.outputOf(signal, bytes);
      if (output !== undefined)
        assert.deepEqual(output, asItCame(signal, bytes), "it edits; leave mutatesData: false away");
    }),
  },
  {
    name: "settles every request as the rest of the pipeline does, and fails with an Error where it fails",
    ...onTrial(async (trial, { processor, requests, settings }) => {
      for (const behaviour of BEHAVIOURS) {
        trial.next.behaviour = behaviour;
        for (const signal of processor.signals) {
          for (const bytes of requests(signal)) await settles(trial, signal, bytes, settings);
        }
      }
    }),
  },
  {
    name: "treats a request that was refused, and comes again, as if it came first",
    applies: ({ stateful }) => stateful !== true,
    ...onRequests(async (trial, signal, bytes, subject) => {
      await using fresh = await Trial.start(subject.processor, subject.trial);
      trial.next.behaviour = "refuses late";
      // What the pipeline refuses is refused; what the processor itself throws is another promise's.
      await trial
        .deliver(signal, bytes)
        .catch((error: ConsumeError) => assert.equal(error.kind, "refused", error.message));
      trial.next.behaviour = "takes";
      const again = await trial.outputOf(signal, bytes);
      assert.deepEqual(again, await fresh.outputOf(signal, bytes));
    }),
  },
  {
    name: "keeps requests apart that it has at the same time, and hands on while another waits",
    applies: ({ stateful, throws }) => stateful !== true && throws !== true,
    ...onTrial(async (trial, { processor, requests }) => {
      for (const signal of processor.signals) {
        const alone: (Buffer | undefined)[] = [];
        for (const bytes of requests(signal)) alone.push(await trial.outputOf(signal, bytes));
        await assertApart(trial, signal, requests(signal), alone);
      }
    }),
  },
  {
    name: "uses no view once its request was handed on",
    ...onTrial(async (trial, subject) => {
      for (const behaviour of BEHAVIOURS) {
        trial.next.behaviour = behaviour;
        await deliverAll(trial, subject);
        await trial.wait(600_000);
      }
    }),
  },
  {
    name: "does the same with the same request, in another instance too",
    applies: ({ stateful }) => stateful !== true,
    ...onRequests(async (trial, signal, bytes, subject) => {
      await using other = await Trial.start(subject.processor, subject.trial);
      const first = await trial.outputOf(signal, bytes);
      assert.deepEqual(await trial.outputOf(signal, bytes), first, "the second time");
      assert.deepEqual(await other.outputOf(signal, bytes), first, "in another instance");
    }),
  },
  {
    name: "leaves what it made as it is, when it comes again",
    applies: ({ idempotent }) => idempotent === true,
    ...onRequests(async (trial, signal, bytes) => {
      const once = await trial.outputOf(signal, bytes);
      if (once !== undefined) assert.deepEqual(await trial.outputOf(signal, Uint8Array.from(once)), once);
    }),
  },
];

function assertNone(found: readonly string[], problem: string): void {
  assert.ok(found.length === 0, `${problem}: ${found.join("; ")}`);
}

/** Node tells of a timer that was cleared a turn later, and of all that it tells in one turn in another. */
async function settleTimers(): Promise<void> {
  for (let left = 3; left > 0; left -= 1) await settle();
}

/** One request of each signal after the other, whatever becomes of them. */
async function deliverAll(trial: Trial, { processor, requests }: Subject): Promise<void> {
  for (const signal of processor.signals) {
    for (const bytes of requests(signal)) {
      // Whether it should have been taken is another promise's; what fails without ConsumeError is a finding here too.
      await trial.deliver(signal, bytes).catch((error: unknown) => assert.ok(error instanceof ConsumeError));
    }
  }
}

async function settles(trial: Trial, signal: Signal, bytes: Uint8Array, settings: ContractSettings): Promise<void> {
  const { seen, behaviour } = trial.next;
  const before = seen.length;
  trial.thrown = undefined;
  const error = await trial.deliver(signal, bytes).then(
    () => undefined,
    (thrown: unknown) => ConsumeError.from(thrown),
  );
  if (trial.thrown !== undefined) {
    assert.ok(trial.thrown instanceof Error && trial.thrown.message !== "", "threw no Error with a message");
    assert.ok(settings.throws === true, `threw ${trial.thrown.message}; throws: true says so`);
    return assert.equal(error?.kind, "internal");
  }
  assert.equal(error?.kind, seen.length > before ? KIND_OF[behaviour] : undefined, `where the pipeline ${behaviour}`);
}

async function assertApart(
  trial: Trial,
  signal: Signal,
  requests: readonly Uint8Array[],
  alone: readonly (Buffer | undefined)[],
): Promise<void> {
  const before = trial.next.seen.length;
  const gate = Promise.withResolvers<void>();
  trial.next.gate = gate.promise;
  const all = Promise.allSettled(requests.map((bytes) => trial.deliver(signal, bytes)));
  const wanted = hexOf(alone);
  try {
    await trial.until(() => trial.next.seen.length - before >= wanted.length, "the other requests wait for the first");
  } finally {
    gate.resolve();
    trial.next.gate = undefined;
  }
  const failed = (await all).find((result) => result.status === "rejected");
  assert.equal(failed, undefined, "a request failed beside others");
  assert.deepEqual(hexOf(trial.next.seen.slice(before).map(({ bytes }) => bytes)), wanted, signal);
}

function hexOf(outputs: readonly (Buffer | undefined)[]): readonly string[] {
  return outputs.flatMap((bytes) => (bytes === undefined ? [] : [bytes.toString("hex")])).toSorted();
}

async function itemsAfter(trial: Trial, signal: Signal, bytes: Uint8Array): Promise<number> {
  const output = await trial.outputOf(signal, bytes);
  return output === undefined ? 0 : itemsOf(signal, output);
}

/** Counted anew from the bytes. */
function itemsOf(signal: Signal, bytes: Uint8Array): number {
  return batchOf(signal, bytes).itemCount;
}

/** Messages that stood twice are merged when a request comes in, whatever a processor does. */
function asItCame(signal: Signal, bytes: Uint8Array): Buffer {
  return Buffer.from(joinSlices(batchOf(signal, bytes).encode()));
}

function batchOf(signal: Signal, bytes: Uint8Array): ReturnType<typeof createBatch> {
  return createBatch(signal, bytes, { client: ClientMetadata.internal, arrivalUnixNano: 0n });
}
