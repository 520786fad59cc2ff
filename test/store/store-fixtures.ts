import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { answerApi } from "../../src/store/api-routes.ts";
import { StoreReader } from "../../src/store/store-reader.ts";
import { StoreWriter } from "../../src/store/store-writer.ts";
import type { StoreLimits } from "../../src/store/store-writer.ts";
import { decodeJsonRequest } from "../../src/wire/otlp/json-decode.ts";

/** 2026-11-24T12:00:00Z, the time of most test records. */
export const NOON_MS = Date.UTC(2026, 10, 24, 12);

export type Attributes = Readonly<Record<string, unknown>>;

export interface TestLog {
  readonly atMs?: number;
  readonly level?: number;
  readonly body?: string;
  readonly attributes?: Attributes;
  readonly resource?: Attributes;
  readonly traceId?: string;
  readonly spanId?: string;
}

export interface TestSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly atMs: number;
  readonly endMs: number;
  readonly status?: number;
  readonly statusMessage?: string;
  readonly exception?: { readonly atMs: number; readonly type: string; readonly message: string };
  readonly attributes?: Attributes;
  readonly resource?: Attributes;
}

export function worker(machine: string, name: string, type: string): Attributes {
  return { "machine.id": machine, "worker.id": name, "service.type": type, "service.name": "emp-worker" };
}

export const TRACE_A = "a".repeat(32);
export const TRACE_B = "b".repeat(32);

/** A span id out of a small number. */
export function spanId(number: number): string {
  return number.toString(16).padStart(16, "0");
}

export function logsRequest(logs: readonly TestLog[]): Uint8Array {
  const resourceLogs = logs.map((log) => ({
    resource: { attributes: keyValues(log.resource ?? {}) },
    scopeLogs: [{ scope: { name: "test" }, logRecords: [logRecord(log)] }],
  }));
  return decodeJsonRequest("logs", JSON.stringify({ resourceLogs })).bytes;
}

function logRecord(log: TestLog): unknown {
  return {
    timeUnixNano: nanos(log.atMs ?? NOON_MS),
    severityNumber: log.level ?? 9,
    ...(log.body !== undefined && { body: { stringValue: log.body } }),
    attributes: keyValues(log.attributes ?? {}),
    ...(log.traceId !== undefined && { traceId: log.traceId }),
    ...(log.spanId !== undefined && { spanId: log.spanId }),
  };
}

export function spansRequest(spans: readonly TestSpan[]): Uint8Array {
  const resourceSpans = spans.map((span) => ({
    resource: { attributes: keyValues(span.resource ?? {}) },
    scopeSpans: [{ scope: { name: "test" }, spans: [spanRecord(span)] }],
  }));
  return decodeJsonRequest("traces", JSON.stringify({ resourceSpans })).bytes;
}

function spanRecord(span: TestSpan): unknown {
  const { exception } = span;
  const event = exception && {
    timeUnixNano: nanos(exception.atMs),
    name: "exception",
    attributes: keyValues({ "exception.type": exception.type, "exception.message": exception.message }),
  };
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId !== undefined && { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: 1,
    startTimeUnixNano: nanos(span.atMs),
    endTimeUnixNano: nanos(span.endMs),
    status: { code: span.status ?? 0, message: span.statusMessage ?? "" },
    attributes: keyValues(span.attributes ?? {}),
    events: event === undefined ? [] : [event],
  };
}

export function nanos(ms: number): string {
  return String(BigInt(Math.round(ms * 1000)) * 1000n);
}

function keyValues(attributes: Attributes): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: unknown): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return { stringValue: String(value) };
}

/** A folder that is gone when the test is. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-store-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function testLimits(limits: Partial<StoreLimits> = {}): StoreLimits {
  return { directory: testFolder(), bytesMax: 1024 ** 3, ageMsMax: 7 * 24 * 3_600_000, ...limits };
}

export function openWriter(limits: StoreLimits, nowMs = NOON_MS): StoreWriter {
  const writer = StoreWriter.open(limits, nowMs);
  onTestFinished(() => closeQuietly(writer));
  return writer;
}

const closed = new WeakSet<StoreWriter>();

/** Closes at once; the hook that would close it at the end then leaves it alone. */
export function closeWriter(writer: StoreWriter): void {
  closed.add(writer);
  writer.close();
}

function closeQuietly(writer: StoreWriter): void {
  if (!closed.has(writer)) writer.close();
}

/** Counts up by itself, so that a budget is used up by work and not by the machine's speed. */
export function openReader(directory: string, monotonicMs: () => number = () => 0): StoreReader {
  const reader = new StoreReader(directory, monotonicMs);
  onTestFinished(() => reader.close());
  return reader;
}

export interface Asked<T> {
  readonly status: number;
  readonly json: T;
}

export function ask<T>(reader: StoreReader, path: string, params: Readonly<Record<string, string>> = {}): Asked<T> {
  const search = new URLSearchParams(params).toString();
  const answer = answerApi(reader, { path, search, nowMs: NOON_MS + 60_000, budgetMs: 60_000 });
  return { status: answer.status, json: JSON.parse(new TextDecoder().decode(answer.body)) as T };
}

export interface LogsPage {
  readonly records: readonly { readonly id: string; readonly message: string; readonly [key: string]: unknown }[];
  readonly next: string | null;
  readonly warnings?: readonly string[];
}

export function messages(reader: StoreReader, q: string, params: Readonly<Record<string, string>> = {}): string[] {
  const { status, json } = ask<LogsPage>(reader, "/api/logs", { q, ...params });
  if (status !== 200) throw new Error(JSON.stringify(json));
  return json.records.map((record) => record.message);
}
