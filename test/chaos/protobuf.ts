/** The few bytes of protobuf that the harness writes itself: the product's code must not vouch for itself. */

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

export function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number * 8), varint(value)]);
}

export function fixed64Field(number: number, low: number, high: number): Buffer {
  const value = Buffer.alloc(8);
  value.writeUInt32LE(low, 0);
  value.writeUInt32LE(high, 4);
  return Buffer.concat([varint(number * 8 + 1), value]);
}

/** A string, bytes, or a message of the given fields. */
export function bytesField(number: number, ...content: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(content.map((part) => Buffer.from(part)));
  return Buffer.concat([varint(number * 8 + 2), varint(body.length), body]);
}
