import { type Attributes, type ResourceEdit, type Signal, SPELLINGS } from "signalbox/sdk";
import type { Identity } from "./identity.ts";
import { idText, keepOriginal, MIRRORS, ORIGINAL_PREFIX, type Reading, type Readings } from "./spellings.ts";
import type { ResourceWord } from "./spoken.ts";

const INSTANCE_ID = SPELLINGS.instance[0];
export const ORIGINAL_INSTANCE_ID = ORIGINAL_PREFIX + INSTANCE_ID;

const NAMED = ["machine", "worker", "serviceType"] as const;
type Named = (typeof NAMED)[number];

/** Translated to Prometheus `machine.id` is `machine_id`; both on one resource would become one label with `;` inside. */
export function hasMirrors(signal: Signal): boolean {
  return signal !== "metrics";
}

/**
 * Writes the identity onto the resource, as text: the canonical spelling of each id, its mirror, and no other spelling of
 * it. A mirror that said something else follows, and what it said is kept aside.
 */
export function writeIdentity(attributes: Attributes, readings: Readings, identity: Identity, signal: Signal): void {
  for (const field of NAMED) writeNamed(attributes, field, readings[field], identity[field], hasMirrors(signal));
  writeInstance(attributes, readings.instance, identity.instance);
  if (identity.original !== undefined) attributes.insert(ORIGINAL_INSTANCE_ID, identity.original);
}

function writeNamed(
  attributes: Attributes,
  field: Named,
  reading: Reading | undefined,
  id: string | undefined,
  isMirrored: boolean,
): void {
  if (id === undefined) return;
  const canonical = SPELLINGS[field][0];
  const mirror = MIRRORS[field];
  const disagrees = reading?.others.some(({ key }) => key === mirror) === true;
  if (disagrees) keepOriginal(attributes, mirror);
  if (reading?.exact.includes(canonical) !== true) attributes.set(canonical, id);
  if (!isMirrored) {
    if (disagrees) attributes.delete(mirror);
  } else if (reading?.exact.includes(mirror) !== true) attributes.set(mirror, id);
  for (const key of reading?.keys ?? []) {
    if (key !== canonical && !(isMirrored && key === mirror)) attributes.delete(key);
  }
}

function writeInstance(attributes: Attributes, reading: Reading | undefined, id: string | undefined): void {
  if (id === undefined) return;
  const isThere = reading?.text === id && reading.exact.includes(INSTANCE_ID);
  if (!isThere) attributes.set(INSTANCE_ID, id);
  for (const key of reading?.keys ?? []) if (key !== INSTANCE_ID) attributes.delete(key);
  for (const key of needlessSpellings(reading, id)) attributes.delete(key);
}

/** Spellings beside the canonical one that said something else, until the id became what they say. */
function needlessSpellings(reading: Reading | undefined, id: string | undefined): string[] {
  const others = reading?.others ?? [];
  return others.flatMap(({ key, text }) => (text !== null && text === id && key !== INSTANCE_ID ? [key] : []));
}

/**
 * What leads from a resource with the base's identity to one with another's. What the resource has chosen is in both.
 * Frozen, so that the views look at it once and not for each record.
 */
export function editBetween(
  base: Identity,
  target: Identity,
  { chosen, readings, hasOriginal }: ResourceWord,
  isMirrored: boolean,
): ResourceEdit {
  const wanted: [string, string | undefined, string | undefined][] = [];
  for (const field of NAMED) {
    if (chosen[field] !== undefined) continue;
    wanted.push([SPELLINGS[field][0], base[field], target[field]]);
    if (isMirrored) wanted.push([MIRRORS[field], base[field], target[field]]);
  }
  wanted.push([INSTANCE_ID, base.instance, target.instance]);
  if (!hasOriginal) wanted.push([ORIGINAL_INSTANCE_ID, base.original, target.original]);
  const changed = wanted.filter(([, from, to]) => from !== to);
  const deleted = [
    ...changed.flatMap(([key, , to]) => (to === undefined ? [key] : [])),
    ...needlessSpellings(readings.instance, target.instance),
  ];
  return Object.freeze({
    set: Object.freeze(Object.fromEntries(changed.flatMap(([key, , to]) => (to === undefined ? [] : [[key, to]])))),
    delete: Object.freeze(deleted),
  });
}

const SERVICE_NAME = "service.name";
const UNKNOWN_SERVICE = "unknown_service";

/** Gives a name to a service that has none of a person's choice. */
export function writeServiceName(attributes: Attributes, serviceName: string): void {
  if (serviceName === "") return;
  const present = idText(attributes.get(SERVICE_NAME));
  if (present === undefined || present?.startsWith(UNKNOWN_SERVICE) === true) attributes.set(SERVICE_NAME, serviceName);
}
