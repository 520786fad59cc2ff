/**
 * Loads folders in a plain Node process and prints what came of it: vitest compiles modules in its own way, which takes
 * syntax that Node refuses, and never asks Node's resolution hooks.
 */
import { writeFileSync } from "node:fs";
import { loadProcessors } from "../../src/service/processor-loader.ts";
import { findProcessorAtFault } from "../../src/service/processor-fault.ts";
import { ConsumeError } from "../../src/core/errors.ts";

const { folders, builtInTypes, probe, edits } = JSON.parse(process.argv[2] ?? "{}") as {
  folders: string[];
  builtInTypes?: string[];
  /** The type whose logs() is called with an empty batch. */
  probe?: string;
  /** Written after a first load; what is printed comes from the second. */
  edits?: Readonly<Record<string, string>>;
};

const nothing = (): void => undefined;
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing, with: () => silent };
const counter = { add: nothing };
const meter = {
  shows: () => false,
  counter: () => counter,
  gauge: nothing,
  observableGauge: nothing,
  histogram: nothing,
};
const clock = { nowMs: () => 0, nowUnixNano: () => 0n, monotonicMs: () => 0, after: () => ({ cancel: nothing }) };

const load = (): ReturnType<typeof loadProcessors> => loadProcessors(folders, { builtInTypes: builtInTypes ?? [] });
if (edits !== undefined) await load();
for (const [file, text] of Object.entries(edits ?? {})) writeFileSync(file, text);
const loaded = await load();
const factory = loaded.factories.find((candidate) => candidate.type === probe);
const answer = factory === undefined ? undefined : await callLogs(factory);

process.stdout.write(
  JSON.stringify({
    types: loaded.factories.map(({ type, signals }) => `${type}: ${signals.join(" ")}`),
    problems: loaded.problems,
    answer,
  }),
);

async function callLogs(processor: (typeof loaded.factories)[number]): Promise<unknown> {
  // Asked within the handler, where Node still knows whose code started what failed.
  const stray = new Promise((resolve) => {
    process.once("unhandledRejection", (reason) => resolve(findProcessorAtFault(reason, loaded.origins)));
    process.once("uncaughtException", (error) => resolve(findProcessorAtFault(error, loaded.origins)));
  });
  const settings = { id: { type: processor.type }, logger: silent, meter, clock };
  const component = processor.create("logs", settings as never, processor.config.parse({}), {} as never);
  const batch = { itemCount: 0, view: [], context: {}, release: nothing };
  try {
    await component.consume(batch as never, { deadline: Infinity } as never);
  } catch (thrown) {
    const error = thrown as ConsumeError;
    return { isConsumeError: error instanceof ConsumeError, kind: error.kind, message: error.message };
  }
  return stray;
}
