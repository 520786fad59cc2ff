import { type Attributes, type AttributeValue, SPELLINGS } from "signalbox/sdk";

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
  /** The keys that say something else, or hold what is no id. */
  readonly others: readonly OtherSpelling[];
}

export interface OtherSpelling {
  readonly key: string;
  readonly text: string | null;
}

export type Readings = { readonly [F in Field]?: Reading };

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
  readonly #fields: readonly Field[];
  /** The spellings of the fields, one field after another; frozen, so that the views prepare it once. */
  readonly #keys: readonly string[];
  readonly #sizes: readonly number[];

  constructor(fields: readonly Field[], firstKeys: { readonly [F in Field]?: string } = {}) {
    const spellings = fields.map((field) => orderedSpellings(field, firstKeys[field]));
    this.#fields = fields;
    this.#keys = Object.freeze(spellings.flat());
    this.#sizes = spellings.map((keys) => keys.length);
  }

  /** undefined where none of the keys is there, which is the usual record. */
  read(attributes: Attributes): Readings | undefined {
    const values = attributes.getMany(this.#keys);
    // Indexed, as this runs for every record of every batch, and nearly always to the end.
    for (let index = 0; index < values.length; index++) if (values[index] !== undefined) return this.#sort(values);
    return undefined;
  }

  #sort(values: readonly (AttributeValue | undefined)[]): Readings {
    const readings: { [F in Field]?: Reading } = {};
    let start = 0;
    for (let index = 0; index < this.#fields.length; index++) {
      const end = start + this.#sizes[index]!;
      const reading = this.#readField(values, start, end);
      if (reading !== undefined) readings[this.#fields[index]!] = reading;
      start = end;
    }
    return readings;
  }

  #readField(values: readonly (AttributeValue | undefined)[], start: number, end: number): Reading | undefined {
    let reading: MutableReading | undefined;
    for (let index = start; index < end; index++) {
      const text = idText(values[index]);
      if (text === undefined) continue;
      const key = this.#keys[index]!;
      reading ??= { text, keys: [], others: [] };
      if (text !== null && text === reading.text) reading.keys.push(key);
      else reading.others.push({ key, text });
    }
    return reading;
  }
}

interface MutableReading {
  readonly text: string | null;
  readonly keys: string[];
  readonly others: OtherSpelling[];
}

function orderedSpellings(field: Field, firstKey: string | undefined): readonly string[] {
  const spellings: readonly string[] = SPELLINGS[field];
  return firstKey === undefined ? spellings : [firstKey, ...spellings.filter((key) => key !== firstKey)];
}
