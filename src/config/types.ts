import { z } from "zod";
import type { AttributeInput } from "../wire/otlp/types.ts";
import { formatByteSize, parseByteSize } from "./byte-size.ts";
import { formatDuration, parseDurationMs } from "./duration.ts";
import { parseEndpoint } from "./endpoint.ts";
import { annotate } from "./notes.ts";
import type { SettingNotes } from "./notes.ts";
import { keysAt, layersOf } from "./schema-walk.ts";
import { Secret } from "./secret.ts";

/**
 * The building blocks of every component's config.ts. README.md in this folder shows how to use them.
 * Each knows the words for its messages (notes.ts), so that a component's schema says only what is its own.
 */

/** What `default` takes is written as in the YAML, and goes through the same parsing. A wrong one throws at import: our bug. */
interface Defaultable<In> {
  readonly default?: In;
}

function withDefault<Out, In>(schema: z.ZodType<Out, In>, value: In | undefined): z.ZodType<Out, In | undefined> {
  if (value === undefined) return schema;
  schema.parse(value);
  return schema.prefault(value as z.core.util.NoUndefined<In>);
}

export interface Refusal {
  /** Relative to the schema that refuses; default: the value itself. */
  readonly path?: readonly (string | number)[];
  /** A sentence of its own, in the Collector's wording where it has one. Values of secrets never belong here. */
  readonly message?: string;
  /** Or what was expected: the message becomes "found 10 (number), expected ...". */
  readonly expected?: string;
  /** What to write instead. */
  readonly fix?: string;
}

/** Reports a problem from a superRefine() or transform(), with a fix beside the message. */
export function refuse(context: z.core.$RefinementCtx, refusal: Refusal): void {
  const { path = [], message, expected, fix } = refusal;
  context.addIssue({
    code: "custom",
    path: [...path],
    message: message ?? `expected ${expected ?? "another value"}`,
    params: {
      ...(message === undefined && { expected: expected ?? "another value" }),
      ...(fix !== undefined && { fix }),
    },
    input: undefined,
  });
}

export interface DurationSettings extends Defaultable<string> {
  /** A plain number is milliseconds, as in OpenTelemetry's declarative configuration. Otherwise only 0 needs no unit. */
  readonly numbersAreMs?: boolean;
  /** Refuses zero, where zero does not mean "off". */
  readonly positive?: boolean;
  /** The largest that makes sense, written as a duration. */
  readonly max?: string;
}

const DURATION_NOTES: SettingNotes = {
  type: "duration",
  expected: "a duration string",
  example: '"10s"',
  fix: durationFix,
  print: (value) => (typeof value === "number" ? formatDuration(value) : value),
};

function durationFix(found: unknown): string {
  const text = String(found);
  const isBareNumber = (typeof found === "number" || typeof found === "string") && /^\d+(\.\d+)?$/.test(text);
  if (isBareNumber && parseDurationMs(`${text}s`) !== undefined) return `write "${text}s"`;
  return 'write a number with a unit of ns, us, ms, s, m or h, such as "10s", "200ms" or "1m30s"';
}

/** `10s`, `1m30s`, `200ms`; the output is milliseconds. Numbers are not in the type: a default is written with its unit. */
export function duration(settings: DurationSettings = {}): z.ZodType<number, string | undefined> {
  const { numbersAreMs = false } = settings;
  const maxMs = settings.max === undefined ? Infinity : parseDurationMs(settings.max)!;
  const schema = z.union([z.string(), z.number()]).transform((written, context): number => {
    const text = numbersAreMs && typeof written === "number" ? `${written}ms` : String(written);
    const ms = parseDurationMs(text);
    if (ms === undefined && parseDurationMs(text.replace(/^-/, "")) !== undefined)
      refuse(context, { expected: "a duration that is not negative", fix: "write it without the minus" });
    else if (ms === undefined) refuse(context, { expected: "a duration string" });
    else if (ms === 0 && settings.positive === true) refuse(context, { message: "must be greater than zero" });
    else if (ms > maxMs)
      refuse(context, { expected: `at most ${settings.max}`, fix: `write "${settings.max}" or less` });
    else return ms;
    return z.NEVER;
  });
  const noted = annotate(schema, { ...DURATION_NOTES, numbersAreMs }) as z.ZodType<number, string | undefined>;
  return withDefault(noted, settings.default);
}

export interface ByteSizeSettings extends Defaultable<string | number> {
  readonly min?: string;
  readonly max?: string;
}

const BYTE_SIZE_NOTES: SettingNotes = {
  type: "size",
  expected: "a size in bytes",
  example: '"64MiB"',
  fix: 'write a number with a unit, such as "64MiB", "512KiB" or "1GB", or a plain number of bytes',
  print: (value) => (typeof value === "number" ? formatByteSize(value) : value),
};

/** `64MiB`, `1GB`, `512KiB` or a plain number of bytes; the output is bytes. */
export function byteSize(settings: ByteSizeSettings = {}): z.ZodType<number, string | number | undefined> {
  const { min = "0", max } = settings;
  const schema = z.union([z.string(), z.number()]).transform((written, context): number => {
    const bytes = parseByteSize(String(written));
    if (bytes === undefined) refuse(context, { expected: "a size in bytes" });
    else if (bytes < parseByteSize(min)!)
      refuse(context, { expected: `at least ${min}`, fix: `write "${min}" or more` });
    else if (max !== undefined && bytes > parseByteSize(max)!)
      refuse(context, { expected: `at most ${max}`, fix: `write "${max}" or less` });
    else return bytes;
    return z.NEVER;
  });
  return withDefault(annotate(schema, BYTE_SIZE_NOTES), settings.default);
}

/** A token or password: the output prints as [REDACTED] everywhere, and no message shows what was written. */
export function secret(): z.ZodType<Secret, string> {
  return annotate(
    z.string().transform((text) => new Secret(text)),
    { type: "secret", expected: "a string", example: '"${env:NAME}"', secret: true },
  );
}

/** Headers: any names, secret values. Absent means none. The Collector also takes, and prints, a list of names and values. */
export function secretMap(): z.ZodType<Readonly<Record<string, Secret>>, SecretMapInput | undefined> {
  const pair = z.strictObject({ name: z.string().min(1), value: secret() });
  const list = z.array(pair).transform((pairs) => Object.fromEntries(pairs.map(({ name, value }) => [name, value])));
  const schema = annotate(z.union([z.record(z.string(), secret()), list]), {
    type: "map of secrets",
    expected: "a map of names to strings",
    example: '{ Authorization: "Bearer ${env:NAME}" }',
    secret: true,
  });
  return withDefault(schema, {});
}

type SecretMapInput = Record<string, string> | { readonly name: string; readonly value: string }[];

/**
 * Any YAML value, to become an attribute: `1.0` is a double, a long integer keeps its digits, and a list or map is one.
 * undefined and null both say that nothing was written.
 */
export function literal(): z.ZodOptional<z.ZodType<AttributeInput | null>> {
  const schema: z.ZodType = z.unknown();
  return annotate(schema as z.ZodType<AttributeInput | null>, { type: "any value", literal: true }).optional();
}

export interface EndpointSettings extends Defaultable<string> {
  /**
   * For an endpoint that we connect to: the host must be there and the port must not be 0. A listening one may have
   * neither host (`:4317` is every address) nor a fixed port (0 lets the system choose).
   */
  readonly dial?: boolean;
}

/** `host:port`, `:port`, `[::1]:4317`; the output is the text as written, which parseEndpoint() reads. */
export function endpoint(settings: EndpointSettings = {}): z.ZodType<string, string | undefined> {
  const schema = z.string().superRefine((text, context) => {
    const problem = endpointProblem(text, settings.dial === true);
    if (problem !== undefined) refuse(context, { expected: `host:port (${problem})` });
  });
  const notes = { type: "host:port", expected: "host:port", example: '"localhost:4317"', fix: endpointFix };
  return withDefault(annotate(schema, notes), settings.default);
}

function endpointProblem(text: string, isDialled: boolean): string | undefined {
  const parsed = parseEndpoint(text);
  if ("problem" in parsed) return parsed.problem;
  if (isDialled && parsed.host === "") return "the host is missing";
  if (isDialled && parsed.port === 0) return "the port must be 1 to 65535";
  return undefined;
}

function endpointFix(found: unknown): string {
  if (typeof found === "number") return `write ":${found}" or "localhost:${found}"`;
  return 'write it as "localhost:4317", ":4317" or "[::1]:4317"';
}

export interface UrlSettings extends Defaultable<string> {
  /** Default: http and https. */
  readonly schemes?: readonly string[];
}

const HTTP_SCHEMES = ["http", "https"];

/** An absolute URL; the output is the text as written, without a slash at its end. */
export function url(settings: UrlSettings = {}): z.ZodType<string, string | undefined> {
  const { schemes = HTTP_SCHEMES } = settings;
  const schema = z.string().transform((text, context) => checkedUrl(text, schemes, context));
  return withDefault(annotate(schema, urlNotes(schemes)), settings.default);
}

/** The same where nothing is needed. As for the Collector, the empty text is nothing. */
export function optionalUrl(): z.ZodOptional<z.ZodType<string | undefined, string>> {
  const schema = z
    .string()
    .transform((text, context) => (text === "" ? undefined : checkedUrl(text, HTTP_SCHEMES, context)));
  return annotate(schema, urlNotes(HTTP_SCHEMES)).optional();
}

function checkedUrl(text: string, schemes: readonly string[], context: z.core.$RefinementCtx<string>): string {
  const parsed = URL.parse(text);
  const isKnown = parsed !== null && schemes.includes(parsed.protocol.slice(0, -1)) && parsed.host !== "";
  if (isKnown) return text.replace(/\/+$/, "");
  refuse(context, { expected: urlExpected(schemes) });
  return z.NEVER;
}

function urlExpected(schemes: readonly string[]): string {
  return `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`;
}

function urlNotes(schemes: readonly string[]): SettingNotes {
  const example = `"${schemes[0]}://localhost:4318"`;
  return { type: "URL", expected: urlExpected(schemes), example, fix: `write it as ${example}` };
}

/** A text, such as the name of a file, that is absent where it is empty: templates of Collector files leave `""` behind. */
export function optionalText(): z.ZodOptional<z.ZodType<string | undefined, string>> {
  return z
    .string()
    .transform((text) => text || undefined)
    .optional();
}

/** One of some words in lower case, written in any: the Collector lowers what it reads for its levels. */
export function word<const W extends string>(words: readonly W[]): z.ZodType<W, W> {
  const lowered = z.preprocess(
    (written) => (typeof written === "string" ? written.toLowerCase() : written),
    z.enum(words),
  );
  return annotate(lowered as z.ZodType<W, W>, { anyCase: true });
}

/** A map with exactly these keys; any other key is an error that offers the nearest one. Use it for every object. */
export function block<S extends z.ZodRawShape>(shape: S): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape);
}

/** A block that is there even where the YAML leaves it out; all its keys need defaults. */
export function defaultBlock<S extends z.ZodRawShape>(shape: S): z.ZodPrefault<z.ZodObject<S, z.core.$strict>> {
  return z.strictObject(shape).prefault(() => ({}) as z.input<z.ZodObject<S, z.core.$strict>> & object);
}

/**
 * A block such as `grpc:` that is off where it is absent, and on with its defaults where it stands without a value. As in
 * the Collector, `enabled: false` inside turns it off again, so that a later file can: nothing else in it is looked at.
 */
export function optionalBlock<Out, In>(schema: z.ZodType<Out, In>): z.ZodOptional<z.ZodType<Out, In | null>> {
  const hasOwnSwitch = keysAt(layersOf(schema)).includes("enabled");
  const read = hasOwnSwitch ? emptyForNull : readSwitch;
  const optional = z.preprocess(read, schema.optional()).optional() as z.ZodOptional<z.ZodType<Out, In | null>>;
  return hasOwnSwitch ? optional : annotate(optional, { isSwitchable: true });
}

function emptyForNull(value: unknown): unknown {
  return value === null ? {} : value;
}

function readSwitch(value: unknown): unknown {
  if (value === null) return {};
  if (typeof value !== "object" || !("enabled" in value) || typeof value.enabled !== "boolean") return value;
  const { enabled, ...body } = value;
  return enabled ? body : undefined;
}

/**
 * A setting of the Collector's that is read, checked and has no effect here; whoever sets it gets a warning.
 * `why` completes "has no effect: ...".
 */
export function withoutEffect<T extends z.ZodType>(schema: T, why: string): T {
  return annotate(schema, { warning: `has no effect: ${why}` });
}

/** Attaches how to mend a wrong value to any schema: withFix(z.int().min(1), "write at least 1, or leave it out"). */
export function withFix<T extends z.ZodType>(schema: T, fix: string): T {
  return annotate(schema, { fix });
}

export { annotate } from "./notes.ts";
export { Secret } from "./secret.ts";
export { formatEndpoint, parseEndpoint } from "./endpoint.ts";
export type { Endpoint } from "./endpoint.ts";
