import { defineProcessor, duration, isDefinedProcessor, z } from "signalbox/sdk";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { openProcessor } from "../../src/sdk/runner.ts";
import { silentContext } from "./silent-context.ts";

const nothing = (): void => undefined;

/** For what only JavaScript lets through: the definition without its type. */
function defineUnchecked(definition: unknown): unknown {
  return defineProcessor(definition as Parameters<typeof defineProcessor>[0]);
}

describe("defineProcessor", () => {
  it("takes a function per signal and says which signals there are", () => {
    const defined = defineProcessor({ type: "mine", logs: nothing, metrics: nothing });
    expect(defined.signals).toEqual(["metrics", "logs"]);
    expect(isDefinedProcessor(defined)).toBe(true);
  });

  it("infers the configuration's type from its schema", () => {
    const defined = defineProcessor({
      type: "mine",
      config: z.object({ limit: z.int().default(3), wait: duration({ default: "2s" }) }),
      logs(_batch, ctx) {
        const limit: number = ctx.config.limit;
        const waitMs: number = ctx.config.wait;
        ctx.count("seen", limit + waitMs);
      },
    });
    expect(defined.config.parse({})).toEqual({ limit: 3, wait: 2000 });
  });

  it("refuses a setting that the schema does not know", () => {
    const plain = defineProcessor({ type: "mine", config: z.object({ a: z.string().optional() }), logs: nothing });
    expect(plain.config.safeParse({ b: 1 }).success).toBe(false);
    expect(defineProcessor({ type: "mine", logs: nothing }).config.safeParse({ b: 1 }).success).toBe(false);
  });

  it("keeps the checks of an object schema, and a schema that lets unknown keys through", () => {
    const refined = z.object({ a: z.string().optional() }).refine((config) => config.a !== "bad", "bad");
    expect(
      defineProcessor({ type: "mine", config: refined, logs: nothing }).config.safeParse({ a: "bad" }).success,
    ).toBe(false);
    const loose = defineProcessor({ type: "mine", config: z.looseObject({}), logs: nothing });
    expect(loose.config.parse({ b: 1 })).toEqual({ b: 1 });
  });

  it("gives each instance of the create form a state of its own", () => {
    const seen: number[] = [];
    const defined = defineProcessor({
      type: "mine",
      signals: ["logs"],
      create() {
        let calls = 0;
        return { logs: () => void seen.push(++calls) };
      },
    });
    const ctx = silentContext("logs", systemClock);
    const batch = { view: [], context: { client: undefined, arrivalUnixNano: 0n } };
    const [first, second] = [openProcessor(defined, ctx), openProcessor(defined, ctx)];
    for (const instance of [first, first, second]) void instance.call(batch as never);
    expect(seen).toEqual([1, 2, 1]);
  });

  it("says which function create() left out", () => {
    const defined = defineProcessor({ type: "mine", create: () => ({ logs: nothing }) });
    expect(() => openProcessor(defined, silentContext("traces", systemClock))).toThrow(
      'create() returned no traces() function; add one, or write signals: ["metrics", "logs"] beside create',
    );
  });

  it.each([
    ["isolate", { type: "mine", logs: nothing, isolate: true }, '"isolate" is not available yet'],
    ["a mistyped key", { type: "mine", log: nothing }, '"log" is not a key of a processor; the keys are type, config,'],
    ["a missing type", { logs: nothing }, '"type" is missing; write type: "my_processor"'],
    ["a type with a dash", { type: "my-proc", logs: nothing }, 'type "my-proc" is no component type'],
    ["a type with a name", { type: "mine/two", logs: nothing }, 'type "mine/two" is no component type'],
    ["a config that is no schema", { type: "mine", config: { a: 1 }, logs: nothing }, '"config" must be a zod schema'],
    ["a signal that is no function", { type: "mine", logs: true }, '"logs" must be a function; write logs(batch, ctx)'],
    ["nothing to do", { type: "mine" }, "there is nothing to do"],
    [
      "create beside a function",
      { type: "mine", create: nothing, logs: nothing },
      '"create" and "logs" exclude each other',
    ],
    [
      "signals without create",
      { type: "mine", logs: nothing, signals: ["logs"] },
      '"signals" belongs to "create" only',
    ],
    ["an unknown signal", { type: "mine", create: nothing, signals: ["log"] }, '"signals" must be a list of "traces"'],
    ["a string", "mine", "found string, expected an object"],
  ])("refuses %s, and says how to mend it", (_name, definition, message) => {
    expect(() => defineUnchecked(definition)).toThrow(message);
  });
});
