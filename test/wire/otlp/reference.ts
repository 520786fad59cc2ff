import type { Signal } from "../../../src/core/signal.ts";
import { readFileSync } from "node:fs";
import protobuf from "protobufjs";

/** OTLP by protobufjs reflection over testdata/otlp.proto: the ground truth, which shares nothing with src/wire. */
export const otlp = protobuf.parse(readFileSync(new URL("../../testdata/otlp.proto", import.meta.url), "utf8"), {
  keepCase: false,
}).root;

export const REQUESTS: Readonly<Record<Signal, protobuf.Type>> = {
  logs: otlp.lookupType("otlp.ExportLogsServiceRequest"),
  traces: otlp.lookupType("otlp.ExportTraceServiceRequest"),
  metrics: otlp.lookupType("otlp.ExportMetricsServiceRequest"),
};

export function encodeReference(signal: Signal, request: object): Uint8Array {
  return REQUESTS[signal].encode(REQUESTS[signal].fromObject(request)).finish();
}

/** The request as plain objects: longs as decimal strings, bytes as hex, enums as numbers, absent fields absent. */
export function decodeReference(signal: Signal, bytes: Uint8Array): unknown {
  const message = REQUESTS[signal].decode(bytes);
  return hexBytes(REQUESTS[signal].toObject(message, { longs: String, enums: Number, oneofs: false }));
}

function hexBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return `hex:${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return value.map(hexBytes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hexBytes(inner)]));
}
