import type { EncodedPayload } from "./types.ts";

/** One piece of memory; the slice itself where there is only one. */
export function joinSlices({ slices, size }: EncodedPayload): Uint8Array {
  if (slices.length === 1) return slices[0]!;
  const whole = new Uint8Array(size);
  let position = 0;
  for (const slice of slices) {
    whole.set(slice, position);
    position += slice.length;
  }
  return whole;
}

/** One request with everything in the given ones, in their order: requests concatenate, since their groups are a repeated field. */
export function mergePayloads(payloads: readonly EncodedPayload[]): EncodedPayload {
  if (payloads.length === 1) return payloads[0]!;
  let size = 0;
  let itemCount = 0;
  for (const payload of payloads) {
    size += payload.size;
    itemCount += payload.itemCount;
  }
  return { slices: payloads.flatMap(({ slices }) => slices), size, itemCount };
}
