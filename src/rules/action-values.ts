import { hash } from "node:crypto";
import { Buffer } from "node:buffer";
import type { ClientMetadata } from "../core/client-metadata.ts";
import { type AttributeInput, type Attributes, Double } from "../wire/otlp/types.ts";
import type { ConvertedType } from "./action-config.ts";
import { parseFloat64, parseInt64, truncateToInt64 } from "./go-numbers.ts";
import { valueText } from "./value-text.ts";

/**
 * SHA-256 in hex of a string's UTF-8, a bool's byte, or the 8 little-endian bytes of a number; "" for anything else,
 * which has no hash in the Collector either. undefined where the attribute is absent.
 */
export function hashOf(attributes: Attributes, key: string): string | undefined {
  const value = attributes.get(key);
  if (value === undefined) return undefined;
  if (typeof value === "string") return sha256(value);
  if (typeof value === "boolean") return sha256(Uint8Array.of(value ? 1 : 0));
  if (typeof value === "bigint") return sha256(int64Bytes(value));
  if (typeof value !== "number") return "";
  return sha256(attributes.kindOf(key) === "double" ? doubleBytes(value) : int64Bytes(BigInt(value)));
}

function sha256(content: string | Uint8Array): string {
  return hash("sha256", content, "hex");
}

function int64Bytes(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
}

function doubleBytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

/** What an attribute becomes; undefined where it stays as it is, because it is of the type already or cannot become it. */
export function convertedValue(attributes: Attributes, key: string, type: ConvertedType): AttributeInput | undefined {
  const value = attributes.get(key);
  if (value === undefined) return undefined;
  if (type === "string") return typeof value === "string" ? undefined : valueText(value);
  if (typeof value === "string") return type === "int" ? parseInt64(value) : asDouble(parseFloat64(value));
  if (typeof value === "boolean") return type === "int" ? Number(value) : new Double(Number(value));
  if (typeof value !== "number" && typeof value !== "bigint") return undefined;
  const isDouble = typeof value === "number" && attributes.kindOf(key) === "double";
  if (isDouble === (type === "double")) return undefined;
  return isDouble ? truncateToInt64(value) : new Double(Number(value));
}

function asDouble(value: number | undefined): Double | undefined {
  return value === undefined ? undefined : new Double(value);
}

const METADATA_PREFIX = "metadata.";
const AUTH_PREFIX = "auth.";

/**
 * What is known of the sender under a name of `from_context`; undefined where nothing is. Headers are there where the
 * receiver has `include_metadata`. Nothing here authenticates senders, so that `auth.` finds nothing, as in a Collector
 * whose receiver has no authenticator.
 */
export function contextText(client: ClientMetadata, name: string): string | undefined {
  if (name === "client.address") return client.address;
  if (name.startsWith(AUTH_PREFIX) || !client.isForwardable) return undefined;
  // A bare name is a header too: so it was before the prefix came.
  const header = name.startsWith(METADATA_PREFIX) ? name.slice(METADATA_PREFIX.length) : name;
  const values = client.get(header);
  return values.length === 0 ? undefined : values.join(";");
}
