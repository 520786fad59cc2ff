import { attributesOf, runProcessor, type KeyValueJson, type RunSettings } from "signalbox/sdk/testing";
import { workerIdentity } from "../../../processors/worker_identity/processor.ts";

export type Plain = Readonly<Record<string, unknown>>;
export type SignalName = "logs" | "traces" | "metrics";
export const SIGNAL_NAMES: readonly SignalName[] = ["logs", "traces", "metrics"];

export interface PlainScope {
  readonly attributes: Plain;
  /** The attributes of each record; of a metric, of its one data point. */
  readonly records: readonly Plain[];
}

/** A request as far as identity goes: resources, scopes and records by their attributes. */
export interface PlainResource {
  readonly attributes: Plain;
  readonly scopes: readonly PlainScope[];
}

export function toKeyValues(attributes: Plain): KeyValueJson[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: toAnyValue(value) }));
}

function toAnyValue(value: unknown): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "number") return { intValue: String(value) };
  if (value === null) return {};
  return { arrayValue: { values: (value as unknown[]).map(toAnyValue) } };
}

/** One resource with one scope and these records. */
export function resource(attributes: Plain, records: readonly Plain[] = [{}], scope: Plain = {}): PlainResource {
  return { attributes, scopes: [{ attributes: scope, records }] };
}

const NAMES = {
  logs: { resources: "resourceLogs", scopes: "scopeLogs", records: "logRecords" },
  traces: { resources: "resourceSpans", scopes: "scopeSpans", records: "spans" },
  metrics: { resources: "resourceMetrics", scopes: "scopeMetrics", records: "metrics" },
} as const;

function recordToJson(signal: SignalName, attributes: Plain, index: number): object {
  const own = { attributes: toKeyValues(attributes) };
  if (signal === "logs") return { body: { stringValue: `line ${index}` }, ...own };
  if (signal === "traces") return { name: `span ${index}`, ...own };
  return { name: `metric ${index}`, gauge: { dataPoints: [{ asInt: "1", ...own }] } };
}

function toJson(signal: SignalName, resources: readonly PlainResource[]): object {
  const names = NAMES[signal];
  return {
    [names.resources]: resources.map(({ attributes, scopes }) => ({
      resource: { attributes: toKeyValues(attributes) },
      [names.scopes]: scopes.map((scope, scopeIndex) => ({
        scope: { name: `scope ${scopeIndex}`, attributes: toKeyValues(scope.attributes) },
        [names.records]: scope.records.map((record, index) => recordToJson(signal, record, index)),
      })),
    })),
  };
}

type Json = Readonly<Record<string, unknown>>;
const list = (value: unknown): readonly Json[] => (value ?? []) as readonly Json[];
const plain = (holder: unknown): Plain =>
  attributesOf((holder as { attributes?: KeyValueJson[] } | undefined)?.attributes);

function recordToPlain(signal: SignalName, record: Json): Plain {
  if (signal !== "metrics") return plain(record);
  return plain(list((record["gauge"] as Json)["dataPoints"])[0]);
}

function toPlain(signal: SignalName, output: Json): PlainResource[] {
  const names = NAMES[signal];
  return list(output[names.resources]).map((group) => ({
    attributes: plain(group["resource"]),
    scopes: list(group[names.scopes]).map((scope) => ({
      attributes: plain(scope["scope"]),
      records: list(scope[names.records]).map((record) => recordToPlain(signal, record)),
    })),
  }));
}

/** Runs plain resources through the processor, by way of OTLP/JSON and the encoded form. */
export async function identify(
  signal: SignalName,
  resources: readonly PlainResource[],
  settings: RunSettings = {},
): Promise<PlainResource[]> {
  const run = { ...settings, [signal]: toJson(signal, resources) } as RunSettings & { readonly logs: object };
  return toPlain(signal, (await runProcessor(workerIdentity, run)) as Json);
}

/** The attributes of the only resource that comes out. */
export async function identifyOne(signal: SignalName, attributes: Plain, settings: RunSettings = {}): Promise<Plain> {
  const [only, ...more] = await identify(signal, [resource(attributes)], settings);
  if (only === undefined || more.length > 0) throw new Error(`expected one resource, found ${more.length + 1}`);
  return only.attributes;
}
