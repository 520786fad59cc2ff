import { type Attributes, type AttributeValue, type FoundAttribute, SPELLINGS } from "signalbox/sdk";

export type Field = keyof typeof SPELLINGS;

/** On log records the job is found as `job_id`, the standard record's name. */
export const LOG_JOB_ID = "job_id";

/** The spelling people search for, on the resource of logs and spans beside the canonical one. */
export const MIRRORS = { machine: "machine_id", worker: "worker_id", serviceType: "service_type" } as const;

/** What one set of attributes says about one field. */
export interface Reading {
  /** The id as text; null where the first spelling holds something that is no id, and is left alone. */
  readonly text: string | null;
  /** The keys that say so. */
  readonly keys: readonly string[];
  /** Those of them whose value is exactly this text: no number, no blanks around it. */
  readonly exact: readonly string[];
  /** The keys that say something else, or hold what is no id. */
  readonly others: readonly OtherSpelling[];
}

export interface OtherSpelling {
  readonly key: string;
  readonly text: string | null;
}

export type Readings = { readonly [F in Field]?: Reading };

/**
 * Where a spelling that is written as a copy of another said something else, what it said. The copy must not disagree
 * with what it copies, and nothing that was sent gets lost. What an earlier hop has kept here stays.
 */
export function keepOriginal(attributes: Attributes, key: string): void {
  const original = ORIGINAL_PREFIX + key;
  if (!attributes.has(original)) attributes.copy(key, original);
}

export const ORIGINAL_PREFIX = "signalbox.original.";

/** Ids are short. A longer text under such a key is something else, and would be copied to every resource. */
const ID_LENGTH_MAX = 256;

/** undefined: as good as absent (blank, or no value). null: something, but no id. */
export function idText(value: AttributeValue | undefined): string | null | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" || typeof value === "bigint")
    return Number.isFinite(Number(value)) ? String(value) : null;
  if (typeof value !== "string") return null;
  const text = value.trim();
  if (text === "") return undefined;
  return text.length > ID_LENGTH_MAX ? null : text;
}

/** Reads the spellings of some fields, all in one walk over the attributes. */
export class FieldReader {
  /** The spellings, one field after another, in the order in which they count; frozen, so that the views prepare it once. */
  readonly keys: readonly string[];
  /** The field of each key. */
  readonly #fields: readonly Field[];

  constructor(fields: readonly Field[], firstKeys: { readonly [F in Field]?: string } = {}) {
    const spellings = fields.map((field) => orderedSpellings(field, firstKeys[field]));
    this.keys = Object.freeze(spellings.flat());
    this.#fields = fields.flatMap((field, index) => spellings[index]!.map(() => field));
  }

  /** undefined where none of the keys is there. */
  read(attributes: Attributes): Readings | undefined {
    const found = attributes.find(this.keys);
    return found.length === 0 ? undefined : this.readingsOf(found);
  }

  /** What was found under the keys. */
  readingsOf(found: readonly FoundAttribute[]): Readings {
    const readings: { [F in Field]?: MutableReading } = {};
    for (const { index, value } of found) {
      const text = idText(value);
      if (text === undefined) continue;
      const key = this.keys[index]!;
      const reading = (readings[this.#fields[index]!] ??= { text, keys: [], exact: [], others: [] });
      if (text === null || text !== reading.text) reading.others.push({ key, text });
      else {
        reading.keys.push(key);
        if (value === text) reading.exact.push(key);
      }
    }
    return readings;
  }
}

interface MutableReading {
  readonly text: string | null;
  readonly keys: string[];
  readonly exact: string[];
  readonly others: OtherSpelling[];
}

function orderedSpellings(field: Field, firstKey: string | undefined): readonly string[] {
  const spellings: readonly string[] = SPELLINGS[field];
  return firstKey === undefined ? spellings : [firstKey, ...spellings.filter((key) => key !== firstKey)];
}
