import { type Attributes, type LogRecordView, type ResourceGroup, type SpanView, SPELLINGS } from "signalbox/sdk";
import { FieldReader, keepOriginal, LOG_JOB_ID, type Field, type Reading, type Readings } from "./spellings.ts";

/** A job belongs on the record: `job_id` and `job.type` on log records, `job.id` and `job.type` on spans. On metrics it has no place. */
export type JobSignal = "logs" | "traces";

const JOB_FIELDS = ["jobId", "jobType"] as const satisfies readonly Field[];

const CANONICAL = {
  logs: { jobId: LOG_JOB_ID, jobType: SPELLINGS.jobType[0] },
  traces: { jobId: SPELLINGS.jobId[0], jobType: SPELLINGS.jobType[0] },
} as const;

/** The key under which a record's job is left as it is. */
export function canonicalJobId(signal: JobSignal): string {
  return CANONICAL[signal].jobId;
}

/** What a record or a scope says of its job. */
export const JOB_READERS = { logs: jobReader("logs"), traces: jobReader("traces") };

/** What a resource says of its job. */
export const RESOURCE_JOBS = new FieldReader(JOB_FIELDS);

function jobReader(signal: JobSignal): FieldReader {
  return new FieldReader(JOB_FIELDS, { jobId: CANONICAL[signal].jobId });
}

export interface JobSettings {
  /** Where the job's id stands a second time. */
  readonly mirrorKey: string | undefined;
  readonly count: (event: string) => void;
}

function countConflicts(readings: Readings, count: (event: string) => void): void {
  for (const field of JOB_FIELDS) if ((readings[field]?.others.length ?? 0) > 0) count("conflicting");
}

/** Renames every spelling of the record's job to the canonical one, its value as it is. Spellings that disagree are counted. */
export function canonicaliseJob(
  attributes: Attributes,
  readings: Readings,
  signal: JobSignal,
  { mirrorKey, count }: JobSettings,
): void {
  countConflicts(readings, count);
  for (const field of JOB_FIELDS) {
    const reading = readings[field];
    if (reading === undefined || reading.keys.length === 0) continue;
    rename(attributes, reading, CANONICAL[signal][field], field === "jobId" ? mirrorKey : undefined);
  }
}

function rename(
  attributes: Attributes,
  { keys, others }: Reading,
  canonical: string,
  mirrorKey: string | undefined,
): void {
  if (!keys.includes(canonical)) attributes.copy(keys[0]!, canonical);
  if (mirrorKey !== undefined && !keys.includes(mirrorKey)) {
    if (others.some(({ key }) => key === mirrorKey)) keepOriginal(attributes, mirrorKey);
    attributes.copy(canonical, mirrorKey);
  }
  for (const key of keys) if (key !== canonical && key !== mirrorKey) attributes.delete(key);
}

/**
 * A worker that does one job may say so on its resource or scope: the job goes to every record that names none.
 * It leaves the place where it stood unless no record has taken it. Run before records are moved to other resources.
 */
export function handDownJobs(
  group: ResourceGroup<LogRecordView | SpanView>,
  fromResource: Readings,
  signal: JobSignal,
  count: (event: string) => void,
): void {
  countConflicts(fromResource, count);
  const takenFromResource = new Set<string>();
  for (const scope of group.scopes()) {
    const fromScope = JOB_READERS[signal].read(scope.scope.attributes) ?? {};
    countConflicts(fromScope, count);
    if (!hasJob(fromScope) && !hasJob(fromResource)) continue;
    const takenFromScope = new Set<string>();
    for (const record of scope.records()) {
      const own = JOB_READERS[signal].read(record.attributes) ?? {};
      const afterScope = inherit(record.attributes, own, fromScope, signal, takenFromScope);
      inherit(record.attributes, afterScope, fromResource, signal, takenFromResource);
    }
    for (const key of takenFromScope) scope.scope.attributes.delete(key);
  }
  for (const key of takenFromResource) group.resource.attributes.delete(key);
}

function hasJob({ jobId, jobType }: Readings): boolean {
  return jobId !== undefined || jobType !== undefined;
}

/** Returns what the record says now. `taken` gathers the keys above it that have become needless. */
function inherit(
  attributes: Attributes,
  own: Readings,
  above: Readings,
  signal: JobSignal,
  taken: Set<string>,
): Readings {
  if (isOfOtherJob(own, above)) return own;
  let result = own;
  for (const field of JOB_FIELDS) {
    const given = above[field];
    if (given === undefined || given.text === null || result[field] !== undefined) continue;
    attributes.set(CANONICAL[signal][field], given.text);
    result = { ...result, [field]: given };
  }
  if (isHandedDown(result, above)) for (const key of keysOf(above)) taken.add(key);
  return result;
}

/** The type of one job says nothing about another. */
function isOfOtherJob(own: Readings, above: Readings): boolean {
  return own.jobId !== undefined && above.jobId !== undefined && own.jobId.text !== above.jobId.text;
}

/**
 * True where the record is of the job that stands above it: id and type leave together, or a record of another job would
 * take the type that is left, the next time. Where two spellings above disagree they stay, for the same reason.
 */
function isHandedDown(record: Readings, above: Readings): boolean {
  const isClear = JOB_FIELDS.every((field) => {
    const given = above[field];
    return given === undefined || (given.text !== null && given.others.length === 0);
  });
  const deciding = above.jobId === undefined ? "jobType" : "jobId";
  return isClear && above[deciding] !== undefined && record[deciding]?.text === above[deciding].text;
}

function keysOf(readings: Readings): readonly string[] {
  return JOB_FIELDS.flatMap((field) => readings[field]?.keys ?? []);
}
