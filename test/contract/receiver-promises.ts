import assert from "node:assert/strict";
import type { Component } from "../../src/core/component.ts";
import type { Signal } from "../../src/core/signal.ts";
import type { ContractPromise, Instance, ReceiverCase, SendOutcome } from "./contract.ts";
import { type Behaviour, BEHAVIOURS, FlakyConsumer, KIND_OF } from "../../src/sdk/contract/flaky-consumer.ts";
import { lifecyclePromises } from "./lifecycle-promises.ts";
import { batchOf, oneRequest, signalsOf } from "./requests.ts";
import { inTime, shutDown, Stage, until } from "./stage.ts";

/** A receiver that runs, with a pipeline behind it that does as it is told. */
class Rig {
  readonly stage: Stage;
  readonly subject: ReceiverCase;
  readonly pipeline = new FlakyConsumer();
  readonly receiver: Component;
  readonly #name: string | undefined;

  constructor(stage: Stage, subject: ReceiverCase, config: unknown, name?: string) {
    this.#name = name;
    this.stage = stage;
    this.subject = subject;
    const { factory } = subject;
    const next = Object.fromEntries(signalsOf(factory).map((signal) => [signal, this.pipeline.for()]));
    const settings = stage.settings(factory.type, name);
    this.receiver = factory.create(settings, factory.config.parse(config), next);
  }

  static create(stage: Stage, subject: ReceiverCase, name?: string): Rig {
    return new Rig(stage, subject, subject.config(stage), name);
  }

  static async start(stage: Stage, subject: ReceiverCase): Promise<Rig> {
    const rig = Rig.create(stage, subject);
    await stage.start([rig.receiver]);
    return rig;
  }

  get signal(): Signal {
    return signalsOf(this.subject.factory)[0]!;
  }

  send(signal = this.signal, abort?: AbortSignal): Promise<SendOutcome> {
    const own = this.stage.listening.filter(({ id }) => id.name === this.#name);
    const request = { listening: own, signal, bytes: oneRequest(signal) };
    return inTime(this.subject.send(abort === undefined ? request : { ...request, abort }), "an answer");
  }

  async untilSeen(count: number): Promise<void> {
    await until(
      () => this.pipeline.seen.length >= count,
      () => `${count} batches in the pipeline`,
    );
  }

  get instance(): Instance {
    const work = async (): Promise<void> => {
      for (const signal of signalsOf(this.subject.factory)) assert.equal(await this.send(signal), "accepted");
    };
    return { components: [this.receiver], work };
  }
}

const lifecycle = lifecyclePromises<ReceiverCase>({
  open: async (subject, stage, name) => ({ create: () => Rig.create(stage, subject, name).instance }),
  createWith: (subject, stage, config) => new Rig(stage, subject, config).instance,
});

function onStage(holds: (rig: Rig, stage: Stage) => Promise<void>): { holds(subject: ReceiverCase): Promise<void> } {
  return {
    holds: async (subject) => {
      await using stage = new Stage();
      await holds(await Rig.start(stage, subject), stage);
      assert.deepEqual(stage.strays, [], "something was thrown that nobody could catch");
    },
  };
}

function outcomeOf(behaviour: Behaviour): SendOutcome {
  const kind = KIND_OF[behaviour];
  if (kind === undefined) return "accepted";
  return kind === "refused" ? "retryable" : "permanent";
}

export const RECEIVER_PROMISES: readonly ContractPromise<ReceiverCase>[] = [
  ...lifecycle,
  {
    name: "answers every request once, as the pipeline decided, and settles its admission once",
    ...onStage(async (rig, stage) => {
      for (const behaviour of BEHAVIOURS) {
        rig.pipeline.behaviour = behaviour;
        for (const signal of signalsOf(rig.subject.factory)) {
          const before = stage.admissions.length;
          const answers = await Promise.all([rig.send(signal), rig.send(signal), rig.send(signal)]);
          assert.deepEqual(answers, Array(3).fill(outcomeOf(behaviour)), `${signal}: the pipeline ${behaviour}`);
          const ends = stage.admissions.slice(before).map((admission) => admission.ends);
          const wanted = KIND_OF[behaviour] === undefined ? "committed" : "discarded";
          assert.deepEqual(ends, [[wanted], [wanted], [wanted]], `${signal}: the pipeline ${behaviour}`);
        }
      }
      await until(
        () => stage.doors.leasedBytes === 0,
        () => `${stage.doors.leasedBytes} bytes of the doors given back`,
      );
    }),
  },
  {
    name: "hands on the records that were sent, counted for the ledger, and releases the batch",
    ...onStage(async (rig, stage) => {
      for (const signal of signalsOf(rig.subject.factory)) {
        await rig.send(signal);
        const seen = rig.pipeline.seen.at(-1)!;
        const { itemCount } = batchOf(signal, oneRequest(signal));
        assert.equal(seen.itemCount, itemCount);
        assert.deepEqual(stage.admissions.at(-1)!.settings.received, { signal, items: itemCount });
        assert.throws(() => seen.batch.encode(), "the batch is not released after the answer");
      }
    }),
  },
  {
    name: "gives the pipeline a deadline that lies ahead",
    ...onStage(async (rig, stage) => {
      await rig.send();
      const { deadline } = stage.admissions[0]!;
      assert.ok(deadline > stage.clock.nowMs() && Number.isFinite(deadline), String(deadline));
    }),
  },
  {
    name: "answers one request while another waits",
    ...onStage(async (rig) => {
      const gate = Promise.withResolvers<void>();
      rig.pipeline.gate = gate.promise;
      const waiting = rig.send();
      await rig.untilSeen(1);
      rig.pipeline.gate = undefined;
      assert.equal(await rig.send(), "accepted");
      gate.resolve();
      assert.equal(await waiting, "accepted");
    }),
  },
  {
    name: "tells the pipeline that the sender has gone",
    ...onStage(async (rig) => {
      const gate = Promise.withResolvers<void>();
      rig.pipeline.gate = gate.promise;
      const leaving = new AbortController();
      const waiting = rig.send(rig.signal, leaving.signal);
      await rig.untilSeen(1);
      leaving.abort();
      await waiting;
      const { admission } = rig.pipeline.seen[0]!;
      await until(
        () => admission.signal.aborted,
        () => "the admission's signal aborted",
      );
      gate.resolve();
    }),
  },
  {
    name: "refuses for now while memory is short, and opens no admission",
    ...onStage(async (rig, stage) => {
      stage.doors.pressure = "hard";
      assert.equal(await rig.send(), "retryable");
      assert.deepEqual([stage.admissions.length, rig.pipeline.seen.length], [0, 0]);
    }),
  },
  {
    name: "ends the requests in flight when it is shut down, and takes no new ones",
    ...onStage(async (rig) => {
      const gate = Promise.withResolvers<void>();
      rig.pipeline.gate = gate.promise;
      const waiting = [rig.send(), rig.send()];
      await rig.untilSeen(2);
      let isDown = false;
      const down = shutDown([rig.receiver]).then(() => (isDown = true));
      assert.notEqual(await rig.send(), "accepted");
      assert.equal(rig.pipeline.seen.length, 2);
      assert.equal(isDown, false, "shutdown() does not wait for requests in flight");
      gate.resolve();
      assert.deepEqual(await Promise.all(waiting), ["accepted", "accepted"]);
      await inTime(down, "shutdown after the last request");
    }),
  },
  {
    name: "cuts off what is in flight when patience ends, and hands nothing on afterwards",
    ...onStage(async (rig) => {
      const gate = Promise.withResolvers<void>();
      rig.pipeline.gate = gate.promise;
      const waiting = rig.send();
      await rig.untilSeen(1);
      await inTime(shutDown([rig.receiver], AbortSignal.abort()), "shutdown without patience", 2_000);
      gate.resolve();
      await waiting;
      assert.notEqual(await rig.send(), "accepted");
      assert.equal(rig.pipeline.seen.length, 1);
    }),
  },
];
