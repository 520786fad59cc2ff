import { isUtf8 } from "node:buffer";
import type { Signal } from "../../core/signal.ts";
import { LENGTH_DELIMITED } from "../protobuf/wire-type.ts";
import { FieldWalker } from "../protobuf/walker.ts";
import { jsonMessage, type JsonMessage } from "./json-schema.ts";
import { REQUEST_MESSAGES } from "./schema.ts";

/**
 * Whether some text of the request is no UTF-8. `bytes` have been scanned, which bounds the recursion. It walks every
 * field and asks native code about every string: many times what the scan costs, so not for every request
 * (docs/decisions/0007-invalid-text.md).
 */
export function hasInvalidText(signal: Signal, bytes: Uint8Array): boolean {
  return isInvalid(jsonMessage(REQUEST_MESSAGES[signal]), bytes, 0, bytes.length);
}

function isInvalid(message: JsonMessage, bytes: Uint8Array, start: number, end: number): boolean {
  const walker = new FieldWalker(bytes, start, end);
  while (walker.next()) {
    const field = message.byNumber[walker.number];
    if (field === undefined || walker.wireType !== LENGTH_DELIMITED) continue;
    const { valueStart, valueEnd } = walker;
    if (field.message !== undefined) {
      if (isInvalid(field.message, bytes, valueStart, valueEnd)) return true;
    } else if (field.type === "string" && !isUtf8(bytes.subarray(valueStart, valueEnd))) return true;
  }
  return false;
}
