import type { ClientMetadata } from "../../src/core/client-metadata.ts";
import { decodeReference, encodeReference } from "../wire/otlp/reference.ts";
import { openProcessor } from "./run-processor.ts";

export type Plain = Readonly<Record<string, unknown>>;

/** AnyValue in protobufjs' form: text, bool, `1n` for ints, numbers for doubles, bytes, lists, null for an empty one. */
export function anyValue(value: unknown): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "bigint") return { intValue: String(value) };
  if (typeof value === "number") return { doubleValue: value };
  if (value === null || value === undefined) return {};
  if (value instanceof Uint8Array) return { bytesValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  return { kvlistValue: { values: keyValues(value as Plain) } };
}

export function keyValues(attributes: Plain): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

/** A request with one record of these attributes. */
export function logRequest(attributes: Plain, more: object = {}): Uint8Array {
  const logRecords = [{ attributes: keyValues(attributes), ...more }];
  return Uint8Array.from(encodeReference("logs", { resourceLogs: [{ resource: {}, scopeLogs: [{ logRecords }] }] }));
}

interface LogsMessage {
  readonly resourceLogs: { readonly scopeLogs: { readonly logRecords: { readonly attributes?: object[] }[] }[] }[];
}

/** The attributes of each record of the first scope. */
export function logAttributes(bytes: Uint8Array): object[][] {
  const { resourceLogs } = decodeReference("logs", bytes) as LogsMessage;
  return resourceLogs[0]!.scopeLogs[0]!.logRecords.map(({ attributes }) => attributes ?? []);
}

/** What these actions make of the attributes of one log record. */
export async function afterActions(actions: string, attributes: Plain, client?: ClientMetadata): Promise<object[]> {
  const run = await openProcessor("logs", "attributes", `{ actions: ${actions} }`);
  return logAttributes(await run(logRequest(attributes), client))[0]!;
}
