import assert from "node:assert/strict";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { Exporter } from "../../src/core/component.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { OutgoingRequest, SendResult } from "../../src/core/sender.ts";
import { SIGNALS, type Signal } from "../../src/core/signal.ts";
import type { BackendMood, ContractBackend, ContractPromise, ExporterCase, Instance } from "./contract.ts";
import { lifecyclePromises } from "./lifecycle-promises.ts";
import { batchOf, oneRequest, requestsOf, signalsOf } from "./requests.ts";
import { inTime, shutDown, Stage, until } from "./stage.ts";

/** An attempt that was told to end does so within this time. */
const ABORT_MS_MAX = 2_000;
const AT_ONCE = 8;

class Rig {
  readonly exporter: Exporter;
  readonly backend: ContractBackend;
  readonly subject: ExporterCase;

  constructor(stage: Stage, subject: ExporterCase, config: unknown, backend: ContractBackend, name?: string) {
    const { factory } = subject;
    this.subject = subject;
    this.backend = backend;
    this.exporter = factory.create(stage.settings(factory.type, name), factory.config.parse(config));
  }

  static async open(stage: Stage, subject: ExporterCase): Promise<Rig> {
    const { config, backend } = await subject.open(stage);
    return new Rig(stage, subject, config, backend);
  }

  get signals(): readonly Signal[] {
    return signalsOf(this.subject.factory);
  }

  send(request = requestOf(this.signals[0]!), signal = new AbortController().signal): Promise<SendResult> {
    return inTime(this.exporter.send(request, signal), "send()");
  }

  get instance(): Instance {
    const work = async (): Promise<void> => {
      for (const signal of this.signals) {
        const before = this.backend.arrived();
        await this.send(requestOf(signal));
        assert.ok(this.backend.arrived() > before, `${signal}: nothing arrived at the backend`);
      }
    };
    return { components: [this.exporter], work };
  }
}

/** In slices of odd sizes, as an edited batch is. */
function requestOf(signal: Signal, bytes: Uint8Array = oneRequest(signal)): OutgoingRequest {
  const { itemCount } = batchOf(signal, bytes);
  return outgoing(signal, slicesOf(bytes), itemCount);
}

function outgoing(signal: Signal, slices: readonly Uint8Array[], itemCount: number): OutgoingRequest {
  const size = slices.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return { signal, payload: { slices, size, itemCount }, client: ClientMetadata.internal };
}

function slicesOf(bytes: Uint8Array): Uint8Array[] {
  const cuts = [0, 1, 8, Math.floor(bytes.length / 2), bytes.length];
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end));
}

const lifecycle = lifecyclePromises<ExporterCase>({
  open: async (subject, stage, name) => {
    const { config, backend } = await subject.open(stage);
    return { create: () => new Rig(stage, subject, config, backend, name).instance };
  },
  createWith: (subject, stage, config) => new Rig(stage, subject, config, NO_BACKEND).instance,
});

const NO_BACKEND: ContractBackend = { arrived: () => 0, mood: "takes" };

function onStage(holds: (rig: Rig, stage: Stage) => Promise<void>): { holds(subject: ExporterCase): Promise<void> } {
  return {
    holds: async (subject) => {
      await using stage = new Stage();
      const rig = await Rig.open(stage, subject);
      await stage.start([rig.exporter]);
      await holds(rig, stage);
      assert.deepEqual(stage.strays, [], "something was thrown that nobody could catch");
    },
  };
}

async function assertConsumeError(sending: Promise<unknown>, what: string): Promise<ConsumeError> {
  const error = await sending.then(
    () => assert.fail(`${what}: it succeeded`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConsumeError)) throw new Error(`${what}: rejected with ${String(error)}`, { cause: error });
  assert.notEqual(error.message, "");
  return error;
}

const without = (mood: BackendMood, why: string) => (subject: ExporterCase) =>
  subject.moods.includes(mood) ? undefined : why;

export const EXPORTER_PROMISES: readonly ContractPromise<ExporterCase>[] = [
  ...lifecycle,
  {
    name: "takes every signal that it declares, and leaves the payload as it is",
    ...onStage(async (rig) => {
      for (const signal of rig.signals) {
        for (const bytes of requestsOf(signal).slice(0, 4)) {
          const copy = Uint8Array.from(bytes);
          const { rejectedItems } = await rig.send(requestOf(signal, bytes));
          assert.equal(rejectedItems, 0);
          assert.deepEqual(bytes, copy, "the payload is shared with other destinations");
        }
      }
    }),
  },
  {
    name: "has several attempts under way at a time",
    ...onStage(async (rig) => {
      const before = rig.backend.arrived();
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => rig.send(requestOf(SIGNALS[index % 3]!))));
      assert.ok(rig.backend.arrived() - before >= AT_ONCE, "fewer arrived than were sent");
    }),
  },
  {
    name: "refuses to send before its start, in words",
    holds: async (subject) => {
      await using stage = new Stage();
      const rig = await Rig.open(stage, subject);
      const error = await assertConsumeError(rig.send(), "before start");
      assert.equal(error.kind, "refused");
      assert.equal(rig.backend.arrived(), 0);
    },
  },
  {
    name: "sends nothing after its shutdown, and says so",
    ...onStage(async (rig) => {
      await rig.send();
      await shutDown([rig.exporter]);
      const before = rig.backend.arrived();
      const error = await assertConsumeError(rig.send(), "after shutdown");
      assert.equal(error.kind, "refused");
      assert.equal(rig.backend.arrived(), before);
    }),
  },
  {
    name: "rejects with ConsumeError alone, whatever its backend does",
    sparedBy: ({ moods }) =>
      moods.some((mood) => mood !== "takes" && mood !== "hangs") ? undefined : "cannot fail so",
    ...onStage(async (rig) => {
      for (const mood of rig.subject.moods) {
        if (mood === "takes" || mood === "hangs") continue;
        rig.backend.mood = mood;
        for (const signal of rig.signals) await assertConsumeError(rig.send(requestOf(signal)), mood);
      }
      rig.backend.mood = "takes";
      await rig.instance.work();
    }),
  },
  {
    name: "answers bytes that are no OTLP with a ConsumeError, or hands them on as they are",
    ...onStage(async (rig) => {
      for (const signal of rig.signals) {
        const bytes = oneRequest(signal);
        const broken = outgoing(signal, [bytes.subarray(0, bytes.length - 3)], 1);
        const error = await rig.send(broken).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        assert.ok(error === undefined || error instanceof ConsumeError, String(error));
      }
      await rig.instance.work();
    }),
  },
  {
    name: "begins no attempt that was given up before it began",
    ...onStage(async (rig) => {
      const before = rig.backend.arrived();
      await assertConsumeError(rig.send(undefined, AbortSignal.abort()), "with a signal that had aborted");
      assert.equal(rig.backend.arrived(), before);
    }),
  },
  {
    name: "ends an attempt soon after its signal aborts",
    sparedBy: without("hangs", "its backend lies in this process and does not hang"),
    ...onStage(async (rig) => {
      rig.backend.mood = "hangs";
      for (const signal of rig.signals) {
        const attempt = new AbortController();
        const before = rig.backend.arrived();
        const sending = assertConsumeError(rig.send(requestOf(signal), attempt.signal), "aborted");
        await until(
          () => rig.backend.arrived() > before,
          () => "the request at the backend",
        );
        attempt.abort();
        const error = await inTime(sending, "the end of an aborted attempt", ABORT_MS_MAX);
        assert.ok(error.isRetryable, `an attempt that was given up is no judgement of the data: ${error.kind}`);
      }
    }),
  },
  {
    name: "holds nothing of attempts that were given up when it is shut down",
    sparedBy: without("hangs", "its backend lies in this process and does not hang"),
    ...onStage(async (rig) => {
      rig.backend.mood = "hangs";
      const attempt = new AbortController();
      const sending = assertConsumeError(rig.send(undefined, attempt.signal), "aborted");
      await until(
        () => rig.backend.arrived() > 0,
        () => "the request at the backend",
      );
      await inTime(shutDown([rig.exporter], AbortSignal.abort()), "shutdown", ABORT_MS_MAX);
      attempt.abort();
      await inTime(sending, "the end of the attempt", ABORT_MS_MAX);
    }),
  },
];
