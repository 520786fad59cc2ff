import {
  defineProcessor,
  type BatchContext,
  type BatchView,
  type LogRecordView,
  type MetricView,
  type ProcessorContext,
  type ResourceGroup,
  type ScopeGroup,
  type Signal,
  type SpanView,
  SPELLINGS,
} from "signalbox/sdk";
import { workerIdentityConfig, type WorkerIdentityConfig } from "./config.ts";
import type { GroupIdentity, Target } from "./group-identity.ts";
import { IDENTITY_FIELDS, isSaidBy, spokenOf, type Identity, type Said } from "./identity.ts";
import { canonicaliseJob, canonicalJobId, handDownJobs, JOB_READERS, RESOURCE_JOBS, type JobSignal } from "./jobs.ts";
import { KnownIdentities } from "./known-identities.ts";
import { hasMirrors, writeIdentity, writeServiceName } from "./resource-edits.ts";
import { FieldReader, type Readings } from "./spellings.ts";
import { resourceMemo, SILENT, spokenMemo, type Spoken } from "./spoken.ts";

type Context = BatchContext<WorkerIdentityConfig>;
type JobRecord = LogRecordView | SpanView;

const NOTHING: Readings = {};

/** Says who sent each record, in one spelling, on the resource; and of which job it is. README.md has the rules. */
export const workerIdentity = defineProcessor({
  type: "worker_identity",
  config: workerIdentityConfig,
  create(ctx) {
    const words = new Words(ctx);
    return {
      logs: (batch, batchContext) => identifyJobRecords(batch, "logs", words, batchContext),
      traces: (batch, batchContext) => identifyJobRecords(batch, "traces", words, batchContext),
      metrics: (batch, batchContext) => identifyMetrics(batch, words, batchContext),
    };
  },
});

/** What one instance has read, kept from request to request: few workers say the same thing in every record. */
class Words {
  readonly ofResources = resourceMemo();
  readonly ofScopes: FieldReader;
  readonly ofRecords;
  /** Keys of a record of which something is to be done. */
  readonly recordKeys: readonly string[];
  readonly identities: KnownIdentities;
  readonly mirrorKey: string | undefined;

  constructor({ signal, config }: ProcessorContext<WorkerIdentityConfig>) {
    // An instance id that is overwritten wherever it can be is not asked for below the resource, and stays there.
    const isOverwritten = config.instance_id === "overwrite";
    const fields = isOverwritten ? IDENTITY_FIELDS.filter((field) => field !== "instance") : IDENTITY_FIELDS;
    this.mirrorKey = signal === "logs" && config.mirror_job_id ? SPELLINGS.jobId[0] : undefined;
    const jobKeys = jobKeysToDo(signal, this.mirrorKey !== undefined);
    this.ofScopes = new FieldReader(fields);
    this.ofRecords = spokenMemo(fields, jobKeys);
    this.recordKeys = this.ofRecords.keys;
    this.identities = new KnownIdentities(config, hasMirrors(signal));
  }
}

/** A job under its canonical key alone leaves nothing to do, unless it wants a mirror. */
function jobKeysToDo(signal: Signal, isMirrored: boolean): readonly string[] {
  if (signal === "metrics") return [];
  const { keys } = JOB_READERS[signal];
  return isMirrored ? keys : keys.filter((key) => key !== canonicalJobId(signal));
}

function identifyJobRecords(batch: BatchView<JobRecord>, signal: JobSignal, words: Words, ctx: Context): void {
  const identityOf = words.identities.of(ctx.client);
  for (const group of batch.resourceGroups()) {
    const { attributes } = group.resource;
    const job = RESOURCE_JOBS.read(attributes) ?? NOTHING;
    const identity = identifyResource(group, words, identityOf, ctx);
    handDownJobs(group, job, signal, ctx.count);
    for (const scope of group.scopes()) new ScopeWalk(scope, identity, words, ctx).records(signal);
  }
}

/** A data point's label is part of its series, so below the resource only the scope is read. */
function identifyMetrics(batch: BatchView<MetricView>, words: Words, ctx: Context): void {
  const identityOf = words.identities.of(ctx.client);
  for (const group of batch.resourceGroups()) {
    const identity = identifyResource(group, words, identityOf, ctx);
    for (const scope of group.scopes()) new ScopeWalk(scope, identity, words, ctx).metrics();
  }
}

/** Gives the resource what it, the sender and the configuration say; the records below may lead elsewhere. */
function identifyResource(
  group: ResourceGroup,
  words: Words,
  identityOf: ReturnType<KnownIdentities["of"]>,
  ctx: Context,
): GroupIdentity {
  const { attributes } = group.resource;
  const word = attributes.recall(words.ofResources) ?? SILENT;
  const found = identityOf(word);
  const { identity } = found.base;
  writeIdentity(attributes, word.readings, identity, ctx.signal);
  writeServiceName(attributes, ctx.config.service_name);
  countConflicts(word.readings, identity, ctx.count);
  if (identity.original !== undefined) ctx.count("replaced_instance_id");
  return found;
}

/** Counts the fields of which two spellings say different things; where one says what the id has become, they agree. */
function countConflicts(readings: Readings, identity: Identity | undefined, count: Context["count"]): void {
  for (const field of IDENTITY_FIELDS) {
    const others = readings[field]?.others ?? [];
    const disagrees = others.some(({ text }) => text === null || text !== identity?.[field]);
    if (disagrees) count("conflicting");
  }
}

/** One scope and its records on their way to the resources where they belong. */
class ScopeWalk<R extends JobRecord | MetricView> {
  readonly #scope: ScopeGroup<R>;
  readonly #identity: GroupIdentity;
  readonly #words: Words;
  readonly #count: Context["count"];
  readonly #readings: Readings;
  /** What the scope says for its records; undefined where it says nothing, or contradicts the resource. */
  readonly #said: Said | undefined;
  readonly #home: Target;
  /** A record has gone by all that the scope says. */
  #isTaken = false;
  #isStuck = false;

  constructor(scope: ScopeGroup<R>, identity: GroupIdentity, words: Words, { count }: Context) {
    this.#scope = scope;
    this.#identity = identity;
    this.#words = words;
    this.#count = count;
    this.#readings = words.ofScopes.read(scope.scope.attributes) ?? NOTHING;
    countConflicts(this.#readings, undefined, count);
    const said = spokenOf(this.#readings);
    const target = said === undefined ? undefined : identity.target(said, undefined);
    if (said !== undefined && target === undefined) count("conflicting");
    this.#said = target === undefined ? undefined : said;
    this.#home = target ?? identity.base;
  }

  metrics(): void {
    if (this.#said === undefined) return;
    for (const metric of this.#scope.records()) this.#move(metric, this.#home);
    this.#removeFromScope();
  }

  records(this: ScopeWalk<JobRecord>, signal: JobSignal): void {
    const { ofRecords, recordKeys, mirrorKey } = this.#words;
    const settings = { mirrorKey, count: this.#count };
    const records = this.#said === undefined ? this.#scope.recordsHaving(recordKeys) : this.#scope.records();
    for (const record of records) {
      const { attributes } = record;
      const spoken = attributes.recall(ofRecords);
      if (spoken?.hasJob === true) {
        const job = JOB_READERS[signal].read(attributes) ?? NOTHING;
        canonicaliseJob(attributes, job, signal, settings);
      }
      if (spoken !== undefined) this.#place(record, spoken);
      else if (this.#said !== undefined) this.#move(record, this.#home);
    }
    this.#removeFromScope();
  }

  #place(this: ScopeWalk<JobRecord>, record: JobRecord, spoken: Spoken): void {
    const { target, contradicts, needless } = this.#identity.way(spoken, this.#said);
    if (contradicts) this.#count("conflicting");
    const isMoved = this.#move(record, target ?? this.#home);
    if (!isMoved || needless === undefined) return;
    record.attributes.deleteMany(needless.keys);
    if (needless.moved > 0) this.#count("moved", needless.moved);
    if (needless.conflicting > 0) this.#count("conflicting", needless.conflicting);
  }

  #move(record: R, target: Target): boolean {
    const isMoved = this.#identity.move(record, target);
    if (!isMoved) {
      this.#isStuck = true;
      this.#count("regroup_bound");
    }
    this.#isTaken ||= this.#said !== undefined && saysAll(target.identity, this.#said);
    return isMoved;
  }

  /**
   * All of the scope's word goes, or none of it: what is left would be read as a word of its own the next time. It stays
   * where two spellings disagree, where no record has gone by it, and for records that could not move.
   */
  #removeFromScope(): void {
    const readings = IDENTITY_FIELDS.map((field) => this.#readings[field]).filter((reading) => reading !== undefined);
    const isClear = readings.every(({ text, others }) => text !== null && others.length === 0);
    if (this.#isStuck || !this.#isTaken || !isClear) return;
    for (const { keys } of readings) for (const key of keys) this.#scope.scope.attributes.delete(key);
  }
}

function saysAll(identity: Identity, said: Said): boolean {
  return IDENTITY_FIELDS.every((field) => said[field] === undefined || isSaidBy(identity, field, said[field]));
}
