import { AttributeMemo } from "signalbox/sdk";
import {
  chosenOf,
  IDENTITY_FIELDS,
  isSaidBy,
  spokenOf,
  type Identity,
  type IdentityField,
  type Said,
} from "./identity.ts";
import { ORIGINAL_INSTANCE_ID } from "./resource-edits.ts";
import { FieldReader, type OtherSpelling, type Readings } from "./spellings.ts";

/** What attributes say of an identity: one object for all that say the same in the same spellings. */
export interface Spoken {
  readonly readings: Readings;
  /** undefined where they name nothing. */
  readonly said: Said | undefined;
  /** They name a job, which is read where it stands: it changes from record to record. */
  readonly hasJob: boolean;
}

/** `jobKeys`: where a job may be named that something is to be done about. */
export function spokenMemo(fields: readonly IdentityField[], jobKeys: readonly string[]): AttributeMemo<Spoken> {
  const reader = new FieldReader(fields);
  return new AttributeMemo({ values: reader.keys, presence: jobKeys }, (found, present) => {
    const readings = reader.readingsOf(found);
    return { readings, said: spokenOf(readings), hasJob: present.length > 0 };
  });
}

/** What a resource says of its identity, and all else that its records' way to another resource hangs on. */
export interface ResourceWord {
  readonly readings: Readings;
  readonly chosen: Said;
  /** It came with the original of an earlier hop. */
  readonly hasOriginal: boolean;
}

export function resourceMemo(): AttributeMemo<ResourceWord> {
  const reader = new FieldReader(IDENTITY_FIELDS);
  return new AttributeMemo({ values: reader.keys, presence: [ORIGINAL_INSTANCE_ID] }, (found, present) => {
    const readings = reader.readingsOf(found);
    return { readings, chosen: chosenOf(readings), hasOriginal: present.length > 0 };
  });
}

export const SILENT: ResourceWord = { readings: {}, chosen: {}, hasOriginal: false };

/** What a record that has moved need not say any more. */
export interface Needless {
  /** Frozen, so that the views prepare it once for all records that say the same. */
  readonly keys: readonly string[];
  /** Fields of which nothing is left, and fields of which something stays since the resource does not say it. */
  readonly moved: number;
  readonly conflicting: number;
}

export function needlessBeside({ readings }: Spoken, identity: Identity): Needless {
  const keys: string[] = [];
  let moved = 0;
  let conflicting = 0;
  for (const field of IDENTITY_FIELDS) {
    const reading = readings[field];
    if (reading === undefined) continue;
    const spellings: OtherSpelling[] = [...reading.keys.map((key) => ({ key, text: reading.text })), ...reading.others];
    const needless = spellings.filter(({ text }) => isSaidBy(identity, field, text));
    for (const { key } of needless) keys.push(key);
    if (needless.length === spellings.length) moved++;
    else conflicting++;
  }
  return { keys: Object.freeze(keys), moved, conflicting };
}
