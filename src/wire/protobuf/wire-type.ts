/**
 * The low three bits of a tag. 3 and 4 are start and end of a group: proto2's nesting, never part of OTLP, refused everywhere.
 * https://protobuf.dev/programming-guides/encoding/#structure
 */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const FIXED32 = 5;

const NAMES = ["varint", "fixed64", "length-delimited", "group start", "group end", "fixed32"];

export function wireTypeName(wireType: number): string {
  return NAMES[wireType] ?? `wire type ${wireType}`;
}
