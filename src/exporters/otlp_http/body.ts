import type { Signal } from "../../core/signal.ts";
import { encodeContent } from "../../net/content-encode.ts";
import { encodeJsonBytes } from "../../wire/otlp/json-encode.ts";
import { joinSlices } from "../../wire/otlp/payload.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";
import type { Compression } from "./config.ts";

export interface BodySettings {
  readonly encoding: "proto" | "json";
  readonly compression: Compression;
  /** -1: the algorithm's own default. */
  readonly level: number;
}

export const CONTENT_TYPES = { proto: "application/x-protobuf", json: "application/json" } as const;

/**
 * The payload as it goes over the wire. Without compression the slices are passed on as they are; compression joins
 * them first, because one call is cheaper than one per slice, of which an edited batch has thousands.
 */
export async function encodeBody(
  signal: Signal,
  payload: EncodedPayload,
  settings: BodySettings,
): Promise<readonly Uint8Array[]> {
  const { encoding, compression, level } = settings;
  if (encoding === "proto" && compression === "none") return payload.slices;
  const joined = joinSlices(payload);
  const bytes = encoding === "json" ? await encodeJsonBytes(signal, joined) : joined;
  return [compression === "none" ? bytes : await encodeContent(compression, bytes, level)];
}
