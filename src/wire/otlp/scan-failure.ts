import type { Signal } from "../../core/signal.ts";
import { DecodeError } from "../decode-error.ts";
import { LENGTH_DELIMITED } from "../protobuf/wire-type.ts";
import { FieldWalker } from "../protobuf/walker.ts";
import { isMessageName, MESSAGES, REQUEST_MESSAGES, type FieldSchema, type MessageName } from "./schema.ts";

/**
 * Finds the path to `offset`, so that the scan itself need not keep one. Everything before `offset` is sound.
 * A problem that does not name its place gets it here: every message of the scan ends with the offset.
 */
export function explainScanFailure(signal: Signal, bytes: Uint8Array, offset: number, problem: string): DecodeError {
  const path = pathTo(REQUEST_MESSAGES[signal], bytes, offset);
  const place = problem.includes("(offset ") ? problem : `${problem} (offset ${offset})`;
  return new DecodeError(path, place, offset, `otlp ${signal}`);
}

function pathTo(request: MessageName, bytes: Uint8Array, offset: number): string {
  const path: string[] = [];
  let message: MessageName | undefined = request;
  let start = 0;
  let end = bytes.length;
  while (message !== undefined) {
    const step = stepTowards(message, bytes, start, end, offset);
    if (step === undefined) break;
    path.push(step.name);
    message = step.message;
    start = step.start;
    end = step.end;
  }
  return path.join(".");
}

interface Step {
  readonly name: string;
  /** undefined where the path ends: the field is no message, or begins at the offset itself. */
  readonly message: MessageName | undefined;
  readonly start: number;
  readonly end: number;
}

/** The field of one message that holds `offset` or begins there. */
function stepTowards(
  message: MessageName,
  bytes: Uint8Array,
  start: number,
  end: number,
  offset: number,
): Step | undefined {
  const walker = new FieldWalker(bytes, start, end);
  const counts = new Map<number, number>();
  while (walker.next()) {
    const { number, valueStart, valueEnd } = walker;
    const count = counts.get(number) ?? 0;
    counts.set(number, count + 1);
    const isHere = walker.fieldStart === offset;
    if (!isHere && valueEnd <= offset) continue;
    const field = MESSAGES[message].find((candidate) => candidate.number === number);
    const isMessage = field !== undefined && isMessageName(field.type) && walker.wireType === LENGTH_DELIMITED;
    const inner = isMessage && !isHere && isMessageName(field.type) ? field.type : undefined;
    return { name: nameOf(field, number, count), message: inner, start: valueStart, end: valueEnd };
  }
  return undefined;
}

function nameOf(field: FieldSchema | undefined, number: number, count: number): string {
  if (field === undefined) return `field ${number}`;
  return field.repeated === true ? `${field.name}[${count}]` : field.name;
}
