/**
 * Each promise is tried on a component that breaks it: a promise that no fault can break would say nothing of the
 * components that keep it.
 */
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Batch } from "../../src/core/batch.ts";
import type { Timer } from "../../src/core/clock.ts";
import type {
  Component,
  Exporter,
  ExporterFactory,
  ExtensionFactory,
  Host,
  Processor,
  ProcessorFactory,
  ReceiverFactory,
  Settings,
} from "../../src/core/component.ts";
import type { Consumer, SignalConsumers } from "../../src/core/consumer.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { SIGNALS, type Signal } from "../../src/core/signal.ts";
import { COMPONENT_CASES } from "./component-cases.ts";
import type { ContractBackend, ContractPromise, ExporterCase, ExtensionCase, ProcessorCase } from "./contract.ts";
import { EXPORTER_PROMISES } from "./exporter-promises.ts";
import { EXTENSION_PROMISES } from "./extension-promises.ts";
import { PROCESSOR_PROMISES } from "./processor-promises.ts";
import { RECEIVER_PROMISES } from "./receiver-promises.ts";
import { expectQuickly, type Stage } from "./stage.ts";

const noSettings = z.unknown();
const NO_LEASE = { resize: () => undefined, watch: () => undefined, release: () => undefined };
const doNothing = async (): Promise<void> => undefined;

// What the faults leave behind, so that this file ends.
const leftBehind: (() => void)[] = [];

type ProcessorFault = Partial<Omit<Processor, "consume">> & {
  readonly consume?: (batch: Batch, next: () => Promise<void>, settings: Settings) => Promise<void>;
};

/** Edits nothing and is right, but for the fault. */
function processorWith(fault: (settings: Settings, next: Consumer) => ProcessorFault): ProcessorCase {
  const factory: ProcessorFactory = {
    kind: "processor",
    type: "faulty",
    config: noSettings,
    signals: SIGNALS,
    create: <S extends Signal>(_signal: S, settings: Settings, _config: unknown, next: Consumer<S>): Processor<S> => {
      const { consume, ...parts } = fault(settings, next);
      return {
        mutatesData: false,
        start: doNothing,
        shutdown: doNothing,
        ...parts,
        consume: (batch, admission) => {
          const pass = (): Promise<void> => next.consume(batch, admission);
          return consume === undefined ? pass() : consume(batch, pass, settings);
        },
      };
    },
  };
  return { name: "faulty", factory, config: {}, unstartable: "", endless: {}, idle: plainIdle };
}

const idleOf = COMPONENT_CASES.flatMap((subject) => (subject.kind === "processor" ? (subject.idle ?? []) : []));
const plainIdle = { config: {}, request: idleOf[0]!.request };

async function editFirst(batch: Batch): Promise<void> {
  for (const group of batch.view.resourceGroups()) group.resource.attributes.set("edited", true);
}

const PROCESSOR_FAULTS: Readonly<Record<string, ProcessorCase>> = {
  "hands every item on, or the pipeline's account says that it dropped it": processorWith(() => ({
    consume: async (_batch, next) => {
      await next();
      await next();
    },
  })),
  "edits nothing": processorWith(() => ({
    consume: async (batch, next) => {
      await editFirst(batch);
      await next();
    },
  })),
  "leaves a batch that it does not touch as it came, byte by byte": processorWith(() => ({
    mutatesData: true,
    consume: async (batch, next) => {
      await editFirst(batch);
      await next();
    },
  })),
  "changes nothing of the bytes that its batch was made from, which others read too": processorWith(() => ({
    consume: async (batch, next) => {
      for (const slice of batch.encode().slices) slice[slice.length - 1]! ^= 1;
      await next();
    },
  })),
  "settles every batch, whatever the rest of the pipeline does, and passes a refusal on as it is": processorWith(
    () => ({
      consume: (_batch, next) =>
        next().catch((thrown: unknown) => {
          throw new ConsumeError("permanent", "refused", { cause: thrown });
        }),
    }),
  ),
  "keeps no view of a batch once it is consumed": processorWith(({ clock }) => ({
    consume: async (batch, next) => {
      await next();
      clock.after(1_000, () => void Promise.resolve().then(() => batch.encode()));
    },
  })),
  "keeps batches apart that it has at the same time": processorWith((_settings, next) => {
    let last: Batch | undefined;
    return {
      consume: async (batch, pass) => {
        last = batch;
        await Promise.resolve();
        if (last === batch) return pass();
        return next.consume(last, { signal: new AbortController().signal } as never);
      },
    };
  }),
  "gives up at the sender's deadline where it waits": processorWith(() => ({
    consume: () => new Promise(() => undefined),
  })),
  "hands nothing on after its shutdown, and refuses what still comes for now": processorWith(({ clock }) => ({
    consume: async (batch, next) => {
      await next();
      const late = batch.clone();
      clock.after(1_000, () => void next().finally(() => late.release()));
    },
  })),
};

/** Takes what it is given and answers at once, but for the fault. */
function exporterWith(fault: (settings: Settings, backend: FakeBackend) => Partial<Exporter>): ExporterCase {
  const backend = new FakeBackend();
  const factory: ExporterFactory = {
    kind: "exporter",
    type: "faulty",
    config: noSettings,
    signals: SIGNALS,
    delivery: "required",
    create: (settings) => {
      let isRunning = false;
      return {
        start: async () => void (isRunning = true),
        shutdown: async () => void (isRunning = false),
        send: async (_request, signal) => {
          if (!isRunning) throw new ConsumeError("refused", "not running");
          if (signal.aborted) throw new ConsumeError("retryable", "no time was left");
          backend.count += 1;
          if (backend.mood === "refuses") throw new ConsumeError("retryable", "not now");
          if (backend.mood === "hangs") await aborted(signal);
          return SENT_WHOLE;
        },
        ...fault(settings, backend),
      };
    },
  };
  return {
    name: "faulty",
    factory,
    moods: ["takes", "refuses", "hangs"],
    unstartable: "is tried by an extension",
    open: async () => ({ config: {}, backend }),
  };
}

class FakeBackend implements ContractBackend {
  mood: ContractBackend["mood"] = "takes";
  count = 0;
  arrived(): number {
    return this.count;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new ConsumeError("retryable", "aborted")));
  });
}

const EXPORTER_FAULTS: Readonly<Record<string, ExporterCase>> = {
  "takes every signal that it declares, and leaves the payload as it is": exporterWith(() => ({
    send: async ({ payload }) => {
      payload.slices[0]![0]! ^= 1;
      return SENT_WHOLE;
    },
  })),
  "has several attempts under way at a time": exporterWith((_settings, backend) => {
    let isBusy = false;
    return {
      send: async () => {
        if (isBusy) throw new ConsumeError("retryable", "one at a time");
        isBusy = true;
        await Promise.resolve();
        isBusy = false;
        backend.count += 1;
        return SENT_WHOLE;
      },
    };
  }),
  "refuses to send before its start, in words": exporterWith(() => ({ send: async () => SENT_WHOLE })),
  "sends nothing after its shutdown, and says so": exporterWith(() => ({ shutdown: doNothing })),
  "rejects with ConsumeError alone, whatever its backend does": exporterWith((_settings, backend) => ({
    send: async () => {
      if (backend.mood !== "takes") throw new Error("ECONNRESET");
      return SENT_WHOLE;
    },
  })),
  "answers bytes that are no OTLP with a ConsumeError, or hands them on as they are": exporterWith(() => ({
    send: async () => {
      throw new RangeError("index out of range");
    },
  })),
  "begins no attempt that was given up before it began": exporterWith((_settings, backend) => ({
    send: async () => {
      backend.count += 1;
      return SENT_WHOLE;
    },
  })),
  "ends an attempt soon after its signal aborts": exporterWith((_settings, backend) => ({
    send: () => {
      backend.count += 1;
      return new Promise(() => undefined);
    },
  })),
  "holds nothing of attempts that were given up when it is shut down": exporterWith(() => ({
    shutdown: () => new Promise(() => undefined),
  })),
};

/** A fault of life itself, on the plainest component. */
function extensionWith(fault: (settings: Settings, stage: () => Stage) => Partial<Component>): ExtensionCase {
  let stage: Stage | undefined;
  const factory: ExtensionFactory = {
    kind: "extension",
    type: "faulty",
    config: noSettings,
    signals: [],
    create: (settings) => ({ start: doNothing, shutdown: doNothing, ...fault(settings, () => stage!) }),
  };
  return {
    name: "faulty",
    factory,
    config: (on) => {
      stage = on;
      return {};
    },
    unstartable: async (on) => {
      stage = on;
      return [{ config: {}, message: /mend it/ }];
    },
  };
}

async function openServer(): Promise<Server> {
  const server = createServer().listen(0, "127.0.0.1");
  leftBehind.push(() => server.close());
  await once(server, "listening");
  return server;
}

const LIFE_FAULTS: Readonly<Record<string, ExtensionCase>> = {
  "is created without side effects": extensionWith(({ clock }) => {
    clock.after(1_000, () => undefined);
    return {};
  }),
  "is shut down without ever having been started": extensionWith(() => {
    let timer: Timer | undefined;
    return { shutdown: async () => timer!.cancel(), start: async () => void (timer = { cancel: () => undefined }) };
  }),
  "is shut down twice, at once and again": extensionWith(() => {
    let shutdowns = 0;
    return {
      shutdown: async () => {
        shutdowns += 1;
        if (shutdowns > 1) throw new Error("it is closed already");
      },
    };
  }),
  "leaves no timer, thread, file, connection or port behind when it has worked": extensionWith(({ id }) => ({
    start: async (host: Host) => {
      const { port } = (await openServer()).address() as AddressInfo;
      host.reportListening({ id, what: "HTTP", address: `127.0.0.1:${port}` });
    },
  })),
  "ends soon where its shutdown comes without patience, and leaves nothing behind": extensionWith(() => ({
    shutdown: () => new Promise(() => undefined),
  })),
  "says how to mend it where it cannot start, and leaves nothing behind": extensionWith(() => ({
    start: async () => {
      await openServer();
      throw new Error("the port is taken; mend it by another");
    },
  })),
  "stands beside a second one of its type, and does not miss it": extensionWith((_settings, stage) => ({
    start: async () => writeFileSync(join(stage().folder, "lock"), "", { flag: "wx" }),
  })),
};

/** A receiver of ours, with something put wrong between it and the rest. */
function receiverWith(fault: (create: ReceiverFactory["create"]) => ReceiverFactory["create"]) {
  const subject = COMPONENT_CASES.find((one) => one.kind === "receiver" && one.name === "receivers/otlp, HTTP")!;
  if (subject.kind !== "receiver") throw new Error("no receiver is left to plant a fault in");
  const { factory } = subject;
  return { ...subject, factory: { ...factory, create: fault((...given) => factory.create(...given)) } };
}

/** Puts another consumer in front of each of the pipelines. */
function consumersWith(wrap: (next: Consumer) => Consumer["consume"]) {
  return receiverWith((create) => (settings, config, next) => {
    const wrapped = Object.entries(next).map(([signal, consumer]) => {
      return [signal, { mutatesData: false, consume: wrap(consumer as Consumer) }] as const;
    });
    return create(settings, config, Object.fromEntries(wrapped) as SignalConsumers);
  });
}

function hostWith(parts: (host: Host) => Partial<Host>) {
  return receiverWith((create) => (settings, config, next) => {
    const receiver = create(settings, config, next);
    return {
      start: (host) =>
        receiver.start({
          admit: (given) => host.admit(given),
          doors: host.doors,
          stateOf: (owner) => host.stateOf(owner),
          reportPressure: (...given) => host.reportPressure(...given),
          reportListening: (given) => host.reportListening(given),
          refusedUnread: (refusal) => host.refusedUnread(refusal),
          reportFatal: (...given) => host.reportFatal(...given),
          reportPermanent: (...given) => host.reportPermanent(...given),
          ...parts(host),
        }),
      shutdown: (signal) => receiver.shutdown(signal),
    };
  });
}

const RECEIVER_FAULTS: Readonly<Record<string, ReturnType<typeof receiverWith>>> = {
  "answers every request once, as the pipeline decided, and settles its admission once": consumersWith(
    (next) => (batch, admission) => next.consume(batch, admission).catch(() => undefined),
  ),
  "hands on the records that were sent, counted for the ledger, and releases the batch": consumersWith(
    (next) => (batch, admission) => next.consume(batch.clone(), admission),
  ),
  "gives the pipeline a deadline that lies ahead": hostWith((host) => ({
    admit: ({ client, opener }) => host.admit({ client, opener }),
  })),
  "answers one request while another waits": consumersWith((next) => {
    let earlier = Promise.resolve();
    return (batch, admission) => {
      earlier = earlier.then(() => next.consume(batch, admission));
      return earlier;
    };
  }),
  "tells the pipeline that the sender has gone": hostWith((host) => ({
    admit: ({ client, opener, deadline = 0 }) => host.admit({ client, opener, deadline }),
  })),
  "refuses for now while memory is short, and opens no admission": hostWith(() => ({
    doors: { pressure: "none", stepBytes: 1024, acquire: async () => NO_LEASE },
  })),
  "ends the requests in flight when it is shut down, and takes no new ones": receiverWith((create) => (...given) => {
    const receiver = create(...given);
    return { start: (host) => receiver.start(host), shutdown: () => receiver.shutdown(AbortSignal.abort()) };
  }),
  "cuts off what is in flight when patience ends, and hands nothing on afterwards": receiverWith(
    (create) =>
      (...given) => {
        const receiver = create(...given);
        return { start: (host) => receiver.start(host), shutdown: doNothing };
      },
  ),
};

function suite<C>(
  kind: string,
  promises: readonly ContractPromise<C>[],
  faults: Readonly<Record<string, C>>,
  proven: readonly string[],
): void {
  describe(`the promises of ${kind}`, () => {
    test("are each broken by a fault here", () => {
      const names = promises.map(({ name }) => name).filter((name) => !proven.includes(name));
      expect(names.toSorted()).toEqual(Object.keys(faults).toSorted());
    });

    test.for(Object.keys(faults))("%s", async (name) => {
      const promise = promises.find((one) => one.name === name)!;
      await expect(promise.holds(faults[name]!), "the fault went unnoticed").rejects.toThrow();
    });
  });
}

expectQuickly(500);
afterEach(() => {
  for (const end of leftBehind.splice(0)) end();
});

const LIFE = EXTENSION_PROMISES.map(({ name }) => name);
suite("life", EXTENSION_PROMISES, LIFE_FAULTS, []);
suite("processors", PROCESSOR_PROMISES, PROCESSOR_FAULTS, LIFE);
suite("exporters", EXPORTER_PROMISES, EXPORTER_FAULTS, LIFE);
suite("receivers", RECEIVER_PROMISES, RECEIVER_FAULTS, LIFE);

test("a component that keeps every promise of life passes", async () => {
  const whole = extensionWith(() => ({}));
  for (const promise of EXTENSION_PROMISES) {
    if (promise.name.startsWith("says how")) continue;
    expect(await promise.holds(whole)).toBeUndefined();
  }
});
