import { z } from "zod";

/** Values of every kind that a setting may have, tried in place of one that is broken. */
const PROBES: readonly unknown[] = [
  undefined,
  true,
  false,
  0,
  1,
  1_000,
  2 ** 40,
  "1ms",
  "1h",
  "10000h",
  "1KiB",
  "1TiB",
  "x",
  "localhost:4317",
  "http://localhost:4318",
  [],
  ["x"],
  {},
  { x: "x" },
];

/**
 * Values that may stand in for a broken one: a problem that stays whichever of them stands there is none of the broken
 * value's making. The schema decides which of them fit.
 */
export function probesFor(layers: readonly z.core.$ZodType[]): readonly unknown[] {
  const listed = layers.flatMap((layer) => {
    if (layer instanceof z.ZodEnum) return layer.options;
    return layer instanceof z.ZodLiteral ? [...layer.values] : [];
  });
  return [...listed, ...PROBES];
}
