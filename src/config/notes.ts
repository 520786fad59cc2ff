import { z } from "zod";

/**
 * What a schema knows about itself beyond zod's own definition: the words for messages and for the settings table.
 * A registry of our own rather than zod's global one, because these must not leak into the JSON Schema.
 */
export interface SettingNotes {
  /** The type column of the settings table: `duration`. */
  readonly type?: string;
  /** Completes "found 10 (number), expected ...". */
  readonly expected?: string;
  /** The line that tells how to mend. `found` is undefined where the value must not be shown: write a general hint then. */
  readonly fix?: string | ((found: unknown) => string | undefined);
  /** A value as one would write it, for "requires a non-empty ...". */
  readonly example?: string;
  /** The value becomes an attribute: numbers are handed over as they were written (LocatedScalar.exact). */
  readonly literal?: boolean;
  /** A duration that takes plain numbers, as milliseconds. */
  readonly numbersAreMs?: boolean;
  /** The words of its enum may be written in any case. */
  readonly anyCase?: boolean;
  /** The block takes the key `enabled` beside its own (optionalBlock). */
  readonly isSwitchable?: boolean;
  /** The value never appears in a message. */
  readonly secret?: boolean;
  /** Turns the validated value back into what one writes in YAML, for print-config. */
  readonly print?: (value: unknown) => unknown;
  /** Said as a warning when the key is set: a setting that is read for compatibility and does nothing, an old spelling. */
  readonly warning?: string;
}

const registry = z.registry<SettingNotes>();

/** Adds notes to a schema and returns it; later notes win over earlier ones. */
export function annotate<T extends z.ZodType>(schema: T, notes: SettingNotes): T {
  registry.add(schema, { ...registry.get(schema), ...notes });
  return schema;
}

/** The notes of exactly this schema; wrappers such as optional() are looked through by schema-walk.ts. */
export function notesOf(schema: z.core.$ZodType): SettingNotes {
  return registry.get(schema) ?? {};
}
