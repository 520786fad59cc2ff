import { z } from "zod";
import { describe, expect, test } from "vitest";
import { factoryLookup, type Configuration } from "../../src/config/configuration.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { admitBatch } from "../../src/core/admit-batch.ts";
import { createBatch } from "../../src/core/batch.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import type { ExporterFactory, Host, ProcessorFactory, ReceiverFactory } from "../../src/core/component.ts";
import type { SignalConsumers } from "../../src/core/consumer.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import { SIGNALS } from "../../src/core/signal.ts";
import { sendingQueueSchema } from "../../src/queue/config.ts";
import { Service } from "../../src/service/service.ts";
import { logsRequest, RecordingLogger } from "../queue/support.ts";

/** Components that say what happens to them, and a receiver that sends when the test wants it. */
class Cast {
  readonly events: string[] = [];
  gate: Promise<void> = Promise.resolve();
  brokenProcessor = "none";
  #door: { readonly host: Host; readonly next: SignalConsumers } | undefined;

  readonly receiver: ReceiverFactory<{ key: string }> = {
    kind: "receiver",
    type: "hand",
    config: z.strictObject({ key: z.string().default("") }),
    signals: SIGNALS,
    create: (_settings, { key }, next) => ({
      start: async (host) => {
        this.events.push(`receiver${key} starts`);
        this.#door = { host, next };
      },
      shutdown: async () => void this.events.push(`receiver${key} ends`),
    }),
  };

  readonly processor: ProcessorFactory<{ name: string }> = {
    kind: "processor",
    type: "named",
    config: z.strictObject({ name: z.string() }),
    signals: SIGNALS,
    create: (_signal, _settings, { name }, next) => ({
      mutatesData: false,
      start: async () => {
        if (name === this.brokenProcessor) throw new Error("does not want to");
        this.events.push(`${name} starts`);
      },
      shutdown: async () => void this.events.push(`${name} ends`),
      consume: async (batch, admission) => {
        this.events.push(`${name} begins`);
        await this.gate;
        this.events.push(`${name} hands on`);
        await next.consume(batch, admission);
      },
    }),
  };

  readonly exporter: ExporterFactory<{ name: string }> = {
    kind: "exporter",
    type: "out",
    config: z.strictObject({ name: z.string(), sending_queue: sendingQueueSchema }),
    signals: SIGNALS,
    delivery: "required",
    create: (_settings, { name }) => ({
      start: async () => void this.events.push(`${name} starts`),
      shutdown: async () => void this.events.push(`${name} ends`),
      send: async () => {
        this.events.push(`${name} sends`);
        return SENT_WHOLE;
      },
    }),
  };

  configuration(parts: { receiver?: string; processor?: string; exporter?: string }): Configuration {
    const { receiver = "", processor = "p1", exporter = "e1" } = parts;
    const text = `
receivers: { hand: { key: "${receiver}" } }
processors: { named: { name: ${processor} } }
exporters: { out: { name: ${exporter} } }
service: { telemetry: { metrics: { level: none } }, pipelines: { logs: { receivers: [hand], processors: [named], exporters: [out] } } }
`;
    const factories = factoryLookup([this.receiver, this.processor, this.exporter] as never);
    const loaded = loadConfiguration({ files: [{ name: "cast.yaml", text }], env: {}, factories });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    return loaded.configuration;
  }

  send(): Promise<void> {
    const { host, next } = this.#door!;
    const client = ClientMetadata.internal;
    const batch = createBatch("logs", logsRequest(["x"]), { client, arrivalUnixNano: 0n });
    return admitBatch(host, next.logs!, batch, { client, opener: "receiver hand" });
  }

  /** What has happened since it was asked last. */
  take(): string[] {
    return this.events.splice(0);
  }
}

async function start(cast: Cast): Promise<Service> {
  const configuration = cast.configuration({});
  const service = new Service({ configuration, logger: new RecordingLogger(), onFatal: () => undefined });
  await service.start();
  expect(cast.take()).toEqual(["e1 starts", "p1 starts", "receiver starts"]);
  return service;
}

async function until(isReached: () => boolean): Promise<void> {
  while (!isReached()) await new Promise((resolve) => setImmediate(resolve));
}

describe("a reload", () => {
  test("keeps what is unchanged, and ends a processor after the last admission that began with it", async () => {
    const cast = new Cast();
    const service = await start(cast);
    const gate = Promise.withResolvers<void>();
    cast.gate = gate.promise;
    const early = cast.send();
    expect(await service.reload(cast.configuration({ processor: "p2" }))).toEqual(["processors.named changed"]);
    expect(cast.take()).toEqual(["p1 begins", "p2 starts"]);
    cast.gate = Promise.resolve();
    await cast.send();
    await until(() => cast.events.includes("e1 sends"));
    expect(cast.take()).toEqual(["p2 begins", "p2 hands on", "e1 sends"]);
    gate.resolve();
    await early;
    await until(() => cast.events.includes("p1 ends"));
    expect(cast.take().toSorted()).toEqual(["e1 sends", "p1 ends", "p1 hands on"]);
    expect(service.ledger.receivers).toMatchObject([{ received: 2, accepted: 2 }]);
    await service.shutdown();
    expect(cast.take()).toEqual(["receiver ends", "p2 ends", "e1 ends"]);
  });

  test("keeps a processor whose neighbour changed, and hands its batches to the new one", async () => {
    const cast = new Cast();
    const service = await start(cast);
    expect(await service.reload(cast.configuration({ exporter: "e2" }))).toEqual(["exporters.out changed"]);
    await until(() => cast.events.includes("e1 ends"));
    await cast.send();
    await until(() => cast.events.includes("e2 sends"));
    expect(cast.take()).toEqual(["e2 starts", "e1 ends", "p1 begins", "p1 hands on", "e2 sends"]);
    await service.shutdown();
  });

  test("that fails when a component does not start ends what had started, and changes nothing", async () => {
    const cast = new Cast();
    const service = await start(cast);
    cast.brokenProcessor = "p2";
    const reload = service.reload(cast.configuration({ receiver: "2", processor: "p2", exporter: "e2" }));
    await expect(reload).rejects.toThrow("processors.named: does not want to");
    expect(cast.take().slice(0, 2)).toEqual(["e2 starts", "receiver2 starts"]);
    expect(await service.reload(cast.configuration({}))).toEqual([]);
    await service.shutdown();
    expect(cast.take()).toEqual(["receiver ends", "p1 ends", "e1 ends"]);
  });

  test("that comes while another is under way waits for its turn, and a stop waits for none to come", async () => {
    const cast = new Cast();
    const service = await start(cast);
    const first = service.reload(cast.configuration({ processor: "p2" }));
    const second = service.reload(cast.configuration({ processor: "p3" }));
    expect([await first, await second]).toEqual([["processors.named changed"], ["processors.named changed"]]);
    await service.shutdown();
    await expect(service.reload(cast.configuration({}))).rejects.toThrow("the gateway is stopping");
    expect(cast.events.filter((event) => event.endsWith(" ends")).toSorted()).toEqual([
      "e1 ends",
      "p1 ends",
      "p2 ends",
      "p3 ends",
      "receiver ends",
    ]);
  });
});
