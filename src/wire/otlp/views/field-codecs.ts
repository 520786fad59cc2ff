import { LENGTH_DELIMITED } from "../../protobuf/wire-type.ts";
import { Buffer } from "node:buffer";
import { readBool, readDouble, readFixed32, readFixed64, readVarint32 } from "../../protobuf/walker.ts";
import type { ProtobufWriter } from "../../protobuf/writer.ts";
import { readHex, readText } from "../../text.ts";
import { readAnyValue, writeAnyValue } from "../any-value.ts";
import type { AttributeInput, AttributeValue } from "../types.ts";

/** How one kind of field is read. */
export interface FieldReader<T> {
  /** What an absent field reads as. */
  readonly absent: T;
  read(bytes: Uint8Array, start: number, end: number): T;
}

/** How one kind of field is written. */
export interface FieldWriter<T> {
  /** Writes the whole field; nothing where the value is what an absent field reads as. */
  write(out: ProtobufWriter, number: number, value: T): void;
}

export type FieldCodec<T> = FieldReader<T> & FieldWriter<T>;

export const TEXT: FieldCodec<string> = {
  absent: "",
  read: readText,
  write(out, number, value) {
    if (typeof value !== "string") throw new TypeError(`expected a string, found ${typeof value}`);
    if (value !== "") out.stringField(number, value);
  },
};

const UINT64_MAX = 2n ** 64n - 1n;

export const TIME: FieldCodec<bigint> = {
  absent: 0n,
  read: readFixed64,
  write(out, number, value) {
    if (typeof value !== "bigint" || value < 0n || value > UINT64_MAX) {
      throw new TypeError(
        `expected nanoseconds since the epoch as a bigint from 0 to 2^64 - 1, found ${String(value)}`,
      );
    }
    if (value !== 0n) out.fixed64Field(number, value);
  },
};

function checkUint32(value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new TypeError(`expected a whole number from 0 to 2^32 - 1, found ${String(value)}`);
  }
}

export const UINT32: FieldCodec<number> = {
  absent: 0,
  read: readVarint32,
  write(out, number, value) {
    checkUint32(value);
    if (value !== 0) out.varintField(number, value);
  },
};

export const FLAGS: FieldCodec<number> = {
  absent: 0,
  read: readFixed32,
  write(out, number, value) {
    checkUint32(value);
    if (value !== 0) out.fixed32Field(number, value);
  },
};

/** An enum or int32: 32 bits, signed. */
export const ENUM: FieldCodec<number> = {
  absent: 0,
  read: (bytes, start) => readVarint32(bytes, start) | 0,
  write(out, number, value) {
    if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 31) {
      throw new TypeError(`expected a whole number of 32 bits, found ${String(value)}`);
    }
    if (value !== 0) out.varintField(number, value);
  },
};

export const BOOL: FieldCodec<boolean> = {
  absent: false,
  read: readBool,
  write(out, number, value) {
    if (value) out.varintField(number, 1);
  },
};

/** An `optional double`: absent is not zero. */
export const OPTIONAL_DOUBLE: FieldCodec<number | undefined> = {
  absent: undefined,
  read: readDouble,
  write(out, number, value) {
    if (value !== undefined) out.doubleField(number, value);
  },
};

function idCodec(size: number): FieldCodec<string> {
  const pattern = new RegExp(`^[0-9a-fA-F]{${size * 2}}$`);
  return {
    absent: "",
    read: readHex,
    write(out, number, value) {
      if (value === "") return;
      if (!pattern.test(value))
        throw new TypeError(`expected ${size * 2} hex digits or "", found ${JSON.stringify(value)}`);
      out.tag(number, LENGTH_DELIMITED);
      out.bytes(Buffer.from(value, "hex"));
    },
  };
}

export const TRACE_ID = idCodec(16);
export const SPAN_ID = idCodec(8);

export const ANY_VALUE: FieldReader<AttributeValue | undefined> & FieldWriter<AttributeInput | undefined> = {
  absent: undefined,
  read: readAnyValue,
  write(out, number, value) {
    if (value === undefined) return;
    out.begin(number, 64);
    writeAnyValue(out, value);
    out.end();
  },
};
