import { z } from "zod";
import { parseComponentId } from "../core/component-id.ts";
import { isSignal, SIGNALS, type Signal } from "../core/signal.ts";
import type { BatchView, LogRecordView, MetricView, SpanView } from "../wire/otlp/types.ts";
import type { BatchContext, ProcessorContext } from "./context.ts";

export type LogsBatch = BatchView<LogRecordView>;
export type TracesBatch = BatchView<SpanView>;
export type MetricsBatch = BatchView<MetricView>;

/**
 * One function per signal. It edits the batch it is given and returns nothing; the batch goes on when it has returned,
 * or when its promise has resolved. Throwing, or rejecting, fails this batch only: its sender is told.
 * A view must not be used after that; copy what you keep.
 */
export interface SignalFunctions<Context> {
  logs?(batch: LogsBatch, ctx: Context): void | Promise<void>;
  traces?(batch: TracesBatch, ctx: Context): void | Promise<void>;
  metrics?(batch: MetricsBatch, ctx: Context): void | Promise<void>;
}

/** What `create` returns: the functions, around state of their own. */
export interface ProcessorInstance<Config = unknown> extends SignalFunctions<BatchContext<Config>> {
  /** Called once, before the first batch. A rejection stops the gateway's start. */
  start?(): void | Promise<void>;
  /** Called once, after the last batch, where start was called. `signal` aborts when patience ends. */
  shutdown?(signal: AbortSignal): void | Promise<void>;
}

interface DefinitionBase<Schema extends z.ZodType> {
  /** The type in the YAML, and the name of the file: `my_processor` in my_processor.ts. */
  readonly type: string;
  /** Default: a processor without settings. */
  readonly config?: Schema;
}

/** A processor without state: the functions stand in the definition. */
export interface SimpleDefinition<Schema extends z.ZodType>
  extends DefinitionBase<Schema>, SignalFunctions<BatchContext<z.output<Schema>>> {
  readonly create?: never;
  readonly signals?: never;
}

/** A processor with state: `create` is called for each instance, once per signal. */
export interface StatefulDefinition<Schema extends z.ZodType> extends DefinitionBase<Schema> {
  /** The signals that `create` returns a function for. Default: all three. */
  readonly signals?: readonly Signal[];
  /** Sets up state and nothing else: what opens, connects or ticks belongs into `start`. */
  create(ctx: ProcessorContext<z.output<Schema>>): ProcessorInstance<z.output<Schema>>;
}

// Under the global registry, so that a processor built against another copy of the SDK is recognised too.
const MARK = Symbol.for("signalbox.processor/v1");

/** What defineProcessor returns. Export it from the processor's file, under any name. */
export interface DefinedProcessor {
  readonly [MARK]: true;
  readonly type: string;
  readonly config: z.ZodType;
  readonly signals: readonly Signal[];
  /** One instance, for one signal. `ctx.config` must have passed the schema. */
  instantiate(ctx: ProcessorContext): ProcessorInstance;
}

/** Of a processor without settings. */
export type EmptyConfig = z.ZodType<Readonly<Record<string, never>>>;

/** Declares a processor. Throws a TypeError that says what is wrong with the definition. */
export function defineProcessor<Schema extends z.ZodType = EmptyConfig>(
  definition: SimpleDefinition<Schema> | StatefulDefinition<Schema>,
): DefinedProcessor {
  checkDefinition(definition);
  return Object.freeze({
    [MARK]: true as const,
    type: definition.type,
    config: withoutUnknownKeys(definition.config),
    signals: signalsOf(definition),
    instantiate(ctx: ProcessorContext): ProcessorInstance {
      // The schema has produced ctx.config, so it is what the definition says it is.
      const own = ctx as ProcessorContext<z.output<Schema>>;
      return definition.create === undefined ? (definition as ProcessorInstance) : definition.create(own);
    },
  });
}

export function isDefinedProcessor(value: unknown): value is DefinedProcessor {
  return typeof value === "object" && value !== null && MARK in value;
}

/** A key that the schema does not know is a typing mistake, so an object schema that says nothing about them refuses them. */
function withoutUnknownKeys(schema: z.ZodType | undefined): z.ZodType {
  if (schema === undefined) return z.strictObject({});
  return schema instanceof z.ZodObject && schema.def.catchall === undefined ? schema.strict() : schema;
}

function signalsOf(definition: SimpleDefinition<z.ZodType> | StatefulDefinition<z.ZodType>): readonly Signal[] {
  if (definition.create !== undefined) return definition.signals ?? SIGNALS;
  return SIGNALS.filter((signal) => definition[signal] !== undefined);
}

const KEYS = ["type", "config", "signals", "create", ...SIGNALS];

/** Users' files may be JavaScript, so the types have not seen them: everything is checked again, by name. */
function checkDefinition(definition: unknown): void {
  if (typeof definition !== "object" || definition === null) {
    throw new TypeError(
      `defineProcessor: found ${typeof definition}, expected an object such as { type: "my_processor", logs(batch, ctx) {} }`,
    );
  }
  const problem = findProblem(definition as Readonly<Record<string, unknown>>);
  if (problem !== undefined) throw new TypeError(`defineProcessor: ${problem}`);
}

function findProblem(definition: Readonly<Record<string, unknown>>): string | undefined {
  return findKeyProblem(definition) ?? findTypeProblem(definition) ?? findFunctionProblem(definition);
}

function findKeyProblem(definition: Readonly<Record<string, unknown>>): string | undefined {
  if ("isolate" in definition)
    return `"isolate" is not available yet; leave it away: the processor runs in the gateway's thread`;
  for (const key of Object.keys(definition)) {
    if (!KEYS.includes(key)) return `"${key}" is not a key of a processor; the keys are ${KEYS.join(", ")}`;
  }
  return undefined;
}

function findTypeProblem({ type, config }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof type !== "string") return `"type" is missing; write type: "my_processor", the name it has in the YAML`;
  const id = parseComponentId(type);
  if ("problem" in id || id.name !== undefined) {
    return `type "${type}" is no component type; write a letter, then letters, digits or "_", as in "my_processor"`;
  }
  if (config !== undefined && !(config instanceof z.ZodType)) {
    return `"config" must be a zod schema; write config: z.object({ ... }) with z from "signalbox/sdk"`;
  }
  return undefined;
}

function findFunctionProblem(definition: Readonly<Record<string, unknown>>): string | undefined {
  const named = [...SIGNALS, "create"].filter((key) => definition[key] !== undefined);
  const wrong = named.find((key) => typeof definition[key] !== "function");
  if (wrong !== undefined)
    return `"${wrong}" must be a function; write ${wrong}(${wrong === "create" ? "ctx" : "batch, ctx"}) { ... }`;
  if (named.length === 0)
    return `there is nothing to do; write at least one of logs(batch, ctx), traces(batch, ctx), metrics(batch, ctx)`;
  if (named.includes("create") && named.length > 1) {
    return `"create" and "${named[0]}" exclude each other; return ${named[0]} from create`;
  }
  return findSignalsProblem(definition["signals"], named.includes("create"));
}

function findSignalsProblem(signals: unknown, hasCreate: boolean): string | undefined {
  if (signals === undefined) return undefined;
  if (!hasCreate) return `"signals" belongs to "create" only; without it the functions say which signals there are`;
  const isList =
    Array.isArray(signals) && signals.length > 0 && signals.every((name) => typeof name === "string" && isSignal(name));
  return isList ? undefined : `"signals" must be a list of ${SIGNALS.map((name) => `"${name}"`).join(", ")}`;
}
