/**
 * The records of a run: each has a number, and a body that can be told from the number alone. So a backend knows of any
 * record that arrives which one it is and whether it is whole, without having seen what was sent.
 */
import { Fields } from "../../bench/audit.ts";
import { bytesField, fixed64Field } from "./protobuf.ts";

/** The upper half of a record's time; the lower half is its number. A date in 2015, so that nobody takes it for invalid. */
const TIME_HIGH = 0x14000000;

/** Field numbers of OTLP. */
const RESOURCE_LOGS = 1;
const SCOPE_LOGS = 2;
const LOG_RECORDS = 2;
const TIME = 1;
const BODY = 5;
const STRING_VALUE = 1;

/** Of different lengths, so that a record in another's place shows. */
function bodyOf(number: number): string {
  return `record ${number} ${"chaos ".repeat((number * 7) % 40)}`;
}

/** An ExportLogsServiceRequest with `count` records from number `first` on. */
export function encodeRecords(first: number, count: number): Buffer {
  const records = Array.from({ length: count }, (_, index) => {
    const number = first + index;
    return bytesField(
      LOG_RECORDS,
      fixed64Field(TIME, number, TIME_HIGH),
      bytesField(BODY, bytesField(STRING_VALUE, bodyOf(number))),
    );
  });
  return bytesField(RESOURCE_LOGS, bytesField(SCOPE_LOGS, ...records));
}

/** The numbers of all records in a request. Throws where one is not as it was sent, or the bytes are no request. */
export function decodeRecords(bytes: Buffer): number[] {
  const numbers: number[] = [];
  const path = [RESOURCE_LOGS, SCOPE_LOGS, LOG_RECORDS];
  const descend = (start: number, end: number, depth: number): void => {
    if (depth === path.length) return void numbers.push(decodeRecord(bytes, start, end));
    const fields = new Fields(bytes, start, end);
    while (fields.next()) if (fields.number === path[depth]) descend(fields.start, fields.end, depth + 1);
  };
  descend(0, bytes.length, 0);
  return numbers;
}

function decodeRecord(bytes: Buffer, start: number, end: number): number {
  let number: number | undefined;
  let body = "";
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    if (fields.number === TIME && bytes.readUInt32LE(fields.start + 4) === TIME_HIGH) {
      number = bytes.readUInt32LE(fields.start);
    }
    if (fields.number === BODY) body = decodeString(bytes, fields.start, fields.end);
  }
  if (number === undefined) throw new Error("a record without the time that was sent");
  if (body !== bodyOf(number)) throw new Error(`record ${number} came with another body: ${JSON.stringify(body)}`);
  return number;
}

function decodeString(bytes: Buffer, start: number, end: number): string {
  const fields = new Fields(bytes, start, end);
  let text = "";
  while (fields.next()) if (fields.number === STRING_VALUE) text = bytes.toString("utf8", fields.start, fields.end);
  return text;
}
