/**
 * The one look that every request gets at the door: a bounded structural pass over all known messages, to full depth.
 *
 * After it, everything behind may walk the bytes without checking again: lengths stay inside their message, wire types
 * fit the fields, varints end, nesting is bounded, there are no groups. Unknown fields are kept and not looked into.
 * Text is not checked: invalid UTF-8 is passed on, as the Collector does (invalid-text.ts looks for it, in a sample).
 */
import type { Signal } from "../../core/signal.ts";
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, wireTypeName } from "../protobuf/wire-type.ts";
import {
  LIST_PAIRS_MAX,
  MESSAGE_DEPTH_MAX,
  REQUEST_GROUPS_MAX,
  REQUEST_ITEMS_MAX,
  REQUEST_MESSAGES_MAX,
} from "../limits.ts";
import { GROUP_COLUMNS, RECORD_COLUMNS, type BatchIndex } from "./batch-index.ts";
import { explainScanFailure } from "./scan-failure.ts";
import {
  fieldNumbers,
  FIELD_TABLE,
  FIELDS_PER_MESSAGE,
  KNOWN,
  MESSAGE,
  MESSAGE_SHIFT,
  messageId,
  ONCE_BITS,
  ONCE_SHIFT,
  PACKABLE,
  ROLE_BITS,
  ROLE_DATA_POINT,
  ROLE_RECORD,
  ROLE_RESOURCE,
  ROLE_RESOURCE_GROUP,
  ROLE_SCOPE,
  ROLE_SCOPE_GROUP,
  ROLE_SHIFT,
  SIZE_SHIFT,
  WIRE_TYPE_BITS,
} from "./message-table.ts";
import { REQUEST_MESSAGES } from "./schema.ts";

export interface ScanLimits {
  readonly depthMax: number;
  readonly messagesMax: number;
  /** Resource groups, and scope groups. */
  readonly groupsMax: number;
  /** Records, and data points. */
  readonly itemsMax: number;
  /** In one list of KeyValue. */
  readonly pairsMax: number;
}

export interface ScanResult {
  readonly index: BatchIndex;
  /**
   * A singular message field occurs twice somewhere, so two places hold parts of one value. The views do not look for
   * that: send the bytes through mergeDuplicates() and scan its result.
   */
  readonly hasDuplicates: boolean;
}

const ANY_VALUE = messageId("AnyValue");
const KEY_VALUE = messageId("KeyValue");
const PAIR = fieldNumbers("KeyValue", ["key", "value"]);
const KEY_TAG = (PAIR.key << 3) | LENGTH_DELIMITED;
const VALUE_TAG = (PAIR.value << 3) | LENGTH_DELIMITED;
const STRING_TAG = (fieldNumbers("AnyValue", ["stringValue"]).stringValue << 3) | LENGTH_DELIMITED;

/** What comes from outside. */
const DOOR_LIMITS: ScanLimits = {
  depthMax: MESSAGE_DEPTH_MAX,
  messagesMax: REQUEST_MESSAGES_MAX,
  groupsMax: REQUEST_GROUPS_MAX,
  itemsMax: REQUEST_ITEMS_MAX,
  pairsMax: LIST_PAIRS_MAX,
};

/**
 * What a door took, and processors have edited and batches have joined since: an attribute on every record may be more
 * messages than a sender may send, and must not be lost for that. Only the depth is held, which the walks behind rely on
 * and no edit exceeds. The rest is bounded by the bytes, of which a message takes at least two.
 */
const COUNT_MAX = 2 ** 31 - 1;
const ACCEPTED_LIMITS: ScanLimits = {
  depthMax: MESSAGE_DEPTH_MAX,
  messagesMax: COUNT_MAX,
  groupsMax: COUNT_MAX,
  itemsMax: COUNT_MAX,
  pairsMax: COUNT_MAX,
};

/** The scan of bytes that a door has accepted before: as scanRequest(), without its bounds on how many there are. */
export function scanAccepted(signal: Signal, bytes: Uint8Array): ScanResult {
  return scanRequest(signal, bytes, ACCEPTED_LIMITS);
}

/** Throws DecodeError with path and offset where the bytes are not a request of this signal. */
export function scanRequest(signal: Signal, bytes: Uint8Array, limits: Partial<ScanLimits> = {}): ScanResult {
  const scanner = new Scanner(bytes, { ...DOOR_LIMITS, ...limits });
  try {
    return scanner.scan(messageId(REQUEST_MESSAGES[signal]));
  } catch (thrown) {
    if (thrown instanceof ScanFailure) throw explainScanFailure(signal, bytes, thrown.offset, thrown.message);
    throw thrown;
  }
}

/** Thrown inside the scan only; a second walk over the sound bytes before `offset` turns it into a DecodeError with a path. */
class ScanFailure extends Error {
  readonly offset: number;
  constructor(problem: string, offset: number) {
    super(problem);
    this.offset = offset;
  }
}

// Filled by every scan and copied out at its end: scans are synchronous, so one set serves all. They grow to the largest
// request seen and keep that size up to SCRATCH_SIZE_KEPT integers.
const SCRATCH_SIZE_KEPT = 1 << 18;
let scratchRecords = new Int32Array(1 << 12);

class Scanner {
  readonly #bytes: Uint8Array;
  readonly #depthMax: number;
  readonly #groupsMax: number;
  readonly #itemsMax: number;
  readonly #pairsMax: number;
  /** How many more messages there may be. */
  #messagesLeft: number;
  readonly #resources: number[] = [];
  readonly #scopes: number[] = [];
  #recordsSize = 0;
  #dataPointCount = 0;
  #hasDuplicates = false;
  /** Second result of the readers that also move. */
  #value = 0;

  constructor(bytes: Uint8Array, { depthMax, groupsMax, itemsMax, messagesMax, pairsMax }: ScanLimits) {
    this.#bytes = bytes;
    this.#depthMax = depthMax;
    this.#groupsMax = groupsMax;
    this.#itemsMax = itemsMax;
    this.#pairsMax = pairsMax;
    this.#messagesLeft = messagesMax;
  }

  scan(request: number): ScanResult {
    this.#message(request, 0, this.#bytes.length, 1);
    const resourceCount = this.#resources.length / GROUP_COLUMNS;
    const scopeCount = this.#scopes.length / GROUP_COLUMNS;
    const recordCount = this.#recordsSize / RECORD_COLUMNS;
    this.#resources.push(0, 0, 0, scopeCount, 0, 0, 0);
    this.#scopes.push(0, 0, 0, recordCount, 0, 0, 0);
    const isMetrics = request === messageId("ExportMetricsServiceRequest");
    const index: BatchIndex = {
      resourceCount,
      scopeCount,
      recordCount,
      itemCount: isMetrics ? this.#dataPointCount : recordCount,
      resources: Int32Array.from(this.#resources),
      scopes: Int32Array.from(this.#scopes),
      records: scratchRecords.slice(0, this.#recordsSize),
    };
    if (scratchRecords.length > SCRATCH_SIZE_KEPT) scratchRecords = new Int32Array(SCRATCH_SIZE_KEPT);
    return { index, hasDuplicates: this.#hasDuplicates };
  }

  /** One message's content. Recursion is bounded by depthMax; a call costs less than a stack of our own. */
  #message(type: number, start: number, end: number, depth: number): void {
    const bytes = this.#bytes;
    const table = type * FIELDS_PER_MESSAGE;
    let seen = 0;
    let pairs = 0;
    let position = start;
    while (position < end) {
      const fieldStart = position;
      let tag = bytes[position++]!;
      if (tag >= 0x80) {
        position = this.#longTag(fieldStart, end);
        tag = this.#value;
      }
      const number = tag >>> 3;
      const entry = number < FIELDS_PER_MESSAGE ? FIELD_TABLE[table + number]! : 0;
      if ((tag & 7) !== LENGTH_DELIMITED) {
        position = this.#scalar(entry, tag, fieldStart, position, end);
        continue;
      }
      if (position >= end) throw new ScanFailure("the length is missing", fieldStart);
      let length = bytes[position++]!;
      if (length >= 0x80) {
        // Two bytes, as most records have them, are read here as #longVarint() would read them.
        if (position < end && bytes[position]! < 0x80) {
          length += (bytes[position++]! - 1) * 0x80;
        } else {
          position = this.#longVarint(fieldStart, position - 1, end);
          length = this.#value;
        }
      }
      if (length > end - position) throw this.#pastTheEnd(length, fieldStart, position, end);
      const valueEnd = position + length;
      if ((entry & MESSAGE) !== 0) {
        if (depth >= this.#depthMax) throw new ScanFailure(`nested deeper than ${this.#depthMax} messages`, fieldStart);
        if (--this.#messagesLeft < 0) throw new ScanFailure("more messages than one request may hold", fieldStart);
        seen |= this.#enter(entry, seen, fieldStart, position, valueEnd);
        const child = entry >>> MESSAGE_SHIFT;
        if (child === KEY_VALUE && ++pairs > this.#pairsMax)
          throw tooMany(this.#pairsMax, "attributes in one list", fieldStart);
        if (length >= 0x80 || !this.#isPlain(child, position, valueEnd, depth + 1)) {
          this.#message(child, position, valueEnd, depth + 1);
        }
      } else if ((entry & WIRE_TYPE_BITS) !== LENGTH_DELIMITED) {
        this.#notMessage(entry, number, fieldStart, position, valueEnd);
      } else if (entry >>> SIZE_SHIFT !== 0 && length !== 0 && length !== entry >>> SIZE_SHIFT) {
        throw new ScanFailure(`found ${length} bytes, expected ${entry >>> SIZE_SHIFT}`, fieldStart);
      }
      position = valueEnd;
    }
  }

  /**
   * The fast path for an AnyValue that is one string, and a KeyValue of a key and such a value, both below 128 bytes, as
   * most are: then nothing in it is left for #message() to check or to note.
   */
  #isPlain(type: number, start: number, end: number, depth: number): boolean {
    const bytes = this.#bytes;
    if (type === ANY_VALUE) return bytes[start] === STRING_TAG && bytes[start + 1] === end - start - 2;
    if (type !== KEY_VALUE || bytes[start] !== KEY_TAG || depth >= this.#depthMax) return false;
    // A key that runs past the end leaves a negative length for the value, which no byte equals.
    const value = start + 2 + bytes[start + 1]!;
    if (bytes[value] !== VALUE_TAG || bytes[value + 1] !== end - value - 2) return false;
    if (bytes[value + 2] !== STRING_TAG || bytes[value + 3] !== end - value - 4) return false;
    // The value is a message too; where the bound is reached, #message() says so.
    if (this.#messagesLeft === 0) return false;
    this.#messagesLeft--;
    return true;
  }

  /** Notes what the index wants of a message field. Returns its bit in the set of singular messages seen. */
  #enter(entry: number, seen: number, fieldStart: number, start: number, end: number): number {
    const once = (entry >>> ONCE_SHIFT) & ONCE_BITS;
    if (once !== 0 && (seen & (1 << once)) !== 0) this.#hasDuplicates = true;
    const role = (entry >>> ROLE_SHIFT) & ROLE_BITS;
    if (role !== 0) this.#note(role, fieldStart, start, end);
    return once === 0 ? 0 : 1 << once;
  }

  #note(role: number, fieldStart: number, start: number, end: number): void {
    switch (role) {
      case ROLE_RECORD:
        return this.#noteRecord(fieldStart, start, end);
      case ROLE_DATA_POINT:
        if (++this.#dataPointCount > this.#itemsMax)
          throw tooMany(this.#itemsMax, "data points in one request", fieldStart);
        return;
      case ROLE_RESOURCE_GROUP:
        return this.#noteGroup(this.#resources, fieldStart, start, end, this.#scopes.length / GROUP_COLUMNS, 0);
      case ROLE_SCOPE_GROUP: {
        const parent = this.#resources.length / GROUP_COLUMNS - 1;
        return this.#noteGroup(this.#scopes, fieldStart, start, end, this.#recordsSize / RECORD_COLUMNS, parent);
      }
      case ROLE_RESOURCE:
        return noteHeader(this.#resources, start, end);
      case ROLE_SCOPE:
        return noteHeader(this.#scopes, start, end);
      default:
    }
  }

  /** In the order of the columns of batch-index.ts; the header is not known yet. */
  #noteGroup(groups: number[], fieldStart: number, start: number, end: number, child: number, parent: number): void {
    if (groups.length >= this.#groupsMax * GROUP_COLUMNS) {
      throw tooMany(this.#groupsMax, "groups in one request", fieldStart);
    }
    groups.push(fieldStart, start, end, child, 0, 0, parent);
  }

  #noteRecord(fieldStart: number, start: number, end: number): void {
    const size = this.#recordsSize;
    if (size >= this.#itemsMax * RECORD_COLUMNS) throw tooMany(this.#itemsMax, "records in one request", fieldStart);
    if (size + RECORD_COLUMNS > scratchRecords.length) {
      const larger = new Int32Array(scratchRecords.length * 2);
      larger.set(scratchRecords);
      scratchRecords = larger;
    }
    scratchRecords[size] = fieldStart;
    scratchRecords[size + 1] = start;
    scratchRecords[size + 2] = end;
    this.#recordsSize = size + RECORD_COLUMNS;
  }

  /** A value that is not length-delimited. Returns the offset behind it. */
  #scalar(entry: number, tag: number, fieldStart: number, position: number, end: number): number {
    const wireType = tag & 7;
    if (tag >>> 3 === 0) throw new ScanFailure("field number 0 is not allowed", fieldStart);
    if ((entry & KNOWN) !== 0 && (entry & WIRE_TYPE_BITS) !== wireType)
      throw wrongWireType(entry, wireType, fieldStart);
    switch (wireType) {
      case VARINT:
        return this.#varint(fieldStart, position, end);
      case FIXED64:
        if (end - position < 8) throw this.#pastTheEnd(8, fieldStart, position, end);
        return position + 8;
      case FIXED32:
        if (end - position < 4) throw this.#pastTheEnd(4, fieldStart, position, end);
        return position + 4;
      default:
        throw new ScanFailure(`${wireTypeName(wireType)} is not allowed`, fieldStart);
    }
  }

  /** A length-delimited field that is no message: text and bytes never come here. */
  #notMessage(entry: number, number: number, fieldStart: number, start: number, end: number): void {
    if (number === 0) throw new ScanFailure("field number 0 is not allowed", fieldStart);
    if ((entry & KNOWN) === 0) return;
    if ((entry & PACKABLE) === 0) throw wrongWireType(entry, LENGTH_DELIMITED, fieldStart);
    const wireType = entry & WIRE_TYPE_BITS;
    if (wireType === VARINT) {
      for (let position = start; position < end;) position = this.#varint(fieldStart, position, end);
      return;
    }
    const size = wireType === FIXED64 ? 8 : 4;
    if ((end - start) % size !== 0) {
      throw new ScanFailure(`${end - start} packed bytes are no multiple of ${size}`, fieldStart);
    }
  }

  #varint(fieldStart: number, position: number, end: number): number {
    const bytes = this.#bytes;
    if (position < end && bytes[position]! < 0x80) return position + 1;
    return this.#longVarint(fieldStart, position, end);
  }

  /** Leaves the value in #value: exact below 2^53, and above it at least too large for any length or tag. */
  #longVarint(fieldStart: number, position: number, end: number): number {
    const bytes = this.#bytes;
    let value = 0;
    let scale = 1;
    const limit = Math.min(end, position + 10);
    for (let at = position; at < limit; at++) {
      const byte = bytes[at]!;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte >= 0x80) continue;
      if (at === position + 9 && byte > 1) break;
      this.#value = value;
      return at + 1;
    }
    if (limit < position + 10) throw new ScanFailure("the varint is cut off", fieldStart);
    throw new ScanFailure("the varint is longer than 64 bits", fieldStart);
  }

  #longTag(fieldStart: number, end: number): number {
    const position = this.#longVarint(fieldStart, fieldStart, end);
    if (this.#value > 0xffffffff) throw new ScanFailure("the field number is larger than 2^29 - 1", fieldStart);
    return position;
  }

  #pastTheEnd(length: number, fieldStart: number, position: number, end: number): ScanFailure {
    return new ScanFailure(
      `length ${length} runs past the end (offset ${fieldStart}, ${end - position} bytes left)`,
      fieldStart,
    );
  }
}

function noteHeader(groups: number[], start: number, end: number): void {
  groups[groups.length - GROUP_COLUMNS + 4] = start;
  groups[groups.length - GROUP_COLUMNS + 5] = end;
}

function tooMany(max: number, what: string, fieldStart: number): ScanFailure {
  return new ScanFailure(`more than ${max} ${what}; send less at once`, fieldStart);
}

function wrongWireType(entry: number, found: number, fieldStart: number): ScanFailure {
  const expected = wireTypeName(entry & WIRE_TYPE_BITS);
  return new ScanFailure(`found ${wireTypeName(found)}, expected ${expected}`, fieldStart);
}
