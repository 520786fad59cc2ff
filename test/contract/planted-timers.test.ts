/** The promises of life see timers of Node's own too, and not only those of the stage's clock. */
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Component } from "../../src/core/component.ts";
import type { ExtensionCase } from "./contract.ts";
import { EXTENSION_PROMISES } from "./extension-promises.ts";

const leftBehind: NodeJS.Timeout[] = [];
afterEach(() => {
  for (const timer of leftBehind.splice(0)) clearInterval(timer);
});

const doNothing = async (): Promise<void> => undefined;

function extensionThat(create: () => Partial<Component>): ExtensionCase {
  return {
    name: "faulty",
    factory: {
      kind: "extension",
      type: "faulty",
      config: z.unknown(),
      signals: [],
      create: () => ({ start: doNothing, shutdown: doNothing, ...create() }),
    },
    config: () => ({}),
    unstartable: async () => [{ config: {}, message: /mend it/ }],
  };
}

const tick = (): NodeJS.Timeout => {
  const timer = setInterval(() => undefined, 1_000);
  leftBehind.push(timer);
  return timer;
};

const onStart = extensionThat(() => ({ start: async () => void tick() }));

const FAULTS: readonly (readonly [string, string, ExtensionCase])[] = [
  ["is created without side effects", "a timer", extensionThat(() => (tick(), {}))],
  ["is created without side effects", "a setImmediate", extensionThat(() => (setImmediate(() => undefined), {}))],
  ["leaves no timer, thread, file, connection or port behind when it has worked", "an interval", onStart],
  [
    "leaves no timer, thread, file, connection or port behind when it has worked",
    "one that keeps nothing alive",
    extensionThat(() => ({ start: async () => void tick().unref() })),
  ],
  [
    "leaves no timer, thread, file, connection or port behind when it has worked",
    "one that its shutdown sets",
    extensionThat(() => ({ shutdown: async () => void tick() })),
  ],
  ["ends soon where its shutdown comes without patience, and leaves nothing behind", "an interval", onStart],
  [
    "says how to mend it where it cannot start, and leaves nothing behind",
    "an interval",
    extensionThat(() => ({
      start: async () => {
        tick();
        throw new Error("the port is taken; mend it by another");
      },
    })),
  ],
];

describe("the promises of life", () => {
  test.for(FAULTS)("%s: %s is found", async ([name, , subject]) => {
    const promise = EXTENSION_PROMISES.find((one) => one.name === name)!;
    await expect(promise.holds(subject)).rejects.toThrow(/a timer|setImmediate/);
  });

  test("let a component have timers that it clears", async () => {
    const subject = extensionThat(() => {
      let timer: NodeJS.Timeout | undefined;
      return { start: async () => void (timer = tick()), shutdown: async () => clearInterval(timer) };
    });
    for (const [name] of FAULTS) {
      if (name.startsWith("says how")) continue;
      expect(await EXTENSION_PROMISES.find((one) => one.name === name)!.holds(subject)).toBeUndefined();
    }
  });
});
