import {
  defineProcessor,
  type BatchContext,
  type BatchView,
  type LogRecordView,
  type MetricView,
  type ResourceGroup,
  type ScopeGroup,
  type SpanView,
  SPELLINGS,
} from "signalbox/sdk";
import { workerIdentityConfig, type WorkerIdentityConfig } from "./config.ts";
import { GroupIdentity, IDENTITY_FIELDS, isSaidBy, type IdentityField, type Target } from "./group-identity.ts";
import { chosenOf, spokenOf, type Identity, type Said } from "./identity.ts";
import { canonicaliseJob, canonicalJobId, handDownJobs, recordReader, type JobSignal } from "./jobs.ts";
import { hasMirrors, ORIGINAL_INSTANCE_ID, writeIdentity, writeServiceName } from "./resource-edits.ts";
import { FieldReader, idText, type Readings } from "./spellings.ts";

type Context = BatchContext<WorkerIdentityConfig>;
type JobRecord = LogRecordView | SpanView;

const NOTHING: Readings = {};

const RESOURCE_READER = new FieldReader([...IDENTITY_FIELDS, "jobId", "jobType"]);
const READERS = readersBelow(IDENTITY_FIELDS);
// An instance id that is overwritten wherever it can be is not asked for below the resource, and stays there.
const OVERWRITE_READERS = readersBelow(IDENTITY_FIELDS.filter((field) => field !== "instance"));

function readersBelow(fields: readonly IdentityField[]) {
  return { scope: new FieldReader(fields), logs: recordReader("logs", fields), traces: recordReader("traces", fields) };
}

/** Says who sent each record, in one spelling, on the resource; and of which job it is. README.md has the rules. */
export const workerIdentity = defineProcessor({
  type: "worker_identity",
  config: workerIdentityConfig,
  logs: (batch, ctx) => identifyJobRecords(batch, "logs", ctx),
  traces: (batch, ctx) => identifyJobRecords(batch, "traces", ctx),
  metrics: identifyMetrics,
});

function identifyJobRecords(batch: BatchView<JobRecord>, signal: JobSignal, ctx: Context): void {
  const senders = sendersOf(ctx);
  for (const group of batch.resourceGroups()) {
    const readings = RESOURCE_READER.read(group.resource.attributes) ?? NOTHING;
    const identity = identifyResource(group, readings, senders, ctx);
    handDownJobs(group, readings, signal, ctx.count);
    for (const scope of group.scopes()) new ScopeWalk(scope, identity, ctx).records(signal);
  }
}

/** A data point's label is part of its series, so below the resource only the scope is read. */
function identifyMetrics(batch: BatchView<MetricView>, ctx: Context): void {
  const senders = sendersOf(ctx);
  for (const group of batch.resourceGroups()) {
    const readings = RESOURCE_READER.read(group.resource.attributes) ?? NOTHING;
    const identity = identifyResource(group, readings, senders, ctx);
    for (const scope of group.scopes()) new ScopeWalk(scope, identity, ctx).metrics();
  }
}

/** Who sends, where nothing in the data says more. */
function sendersOf({ client, config }: Context): Said[] {
  const header = (name: string): string | undefined => idText(client.first(name)) ?? undefined;
  return [
    { machine: header("x-machine-id"), worker: header("x-worker-id"), serviceType: header("x-service-type") },
    {
      machine: config.machine_id || undefined,
      worker: config.worker_id || undefined,
      serviceType: config.service_type || undefined,
    },
  ];
}

/** Gives the resource what it, the sender and the configuration say; the records below may lead elsewhere. */
function identifyResource(
  group: ResourceGroup,
  readings: Readings,
  senders: readonly Said[],
  ctx: Context,
): GroupIdentity {
  const { attributes } = group.resource;
  const place = {
    isMirrored: hasMirrors(ctx.signal),
    hasOriginal: attributes.has(ORIGINAL_INSTANCE_ID),
    instance: readings.instance,
  };
  const chosen = chosenOf(readings);
  const identity = new GroupIdentity({ chosen, senders, mode: ctx.config.instance_id, place, count: ctx.count });
  writeIdentity(attributes, readings, identity.base.identity, ctx.signal);
  writeServiceName(attributes, ctx.config.service_name);
  countConflicts(readings, identity.base.identity, ctx.count);
  if (identity.base.identity.original !== undefined) ctx.count("replaced_instance_id");
  return identity;
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
  readonly #context: Context;
  readonly #readers: typeof READERS;
  readonly #readings: Readings;
  /** What the scope says for its records; undefined where it says nothing, or contradicts the resource. */
  readonly #said: Said | undefined;
  readonly #home: Target;
  /** A record has gone by all that the scope says. */
  #isTaken = false;
  #isStuck = false;

  constructor(scope: ScopeGroup<R>, identity: GroupIdentity, context: Context) {
    this.#scope = scope;
    this.#identity = identity;
    this.#context = context;
    this.#readers = context.config.instance_id === "overwrite" ? OVERWRITE_READERS : READERS;
    this.#readings = this.#readers.scope.read(scope.scope.attributes) ?? NOTHING;
    countConflicts(this.#readings, undefined, context.count);
    const said = spokenOf(this.#readings);
    const target = said === undefined ? undefined : identity.target(said, undefined);
    this.#said = target === undefined ? undefined : said;
    this.#home = target ?? identity.base;
  }

  metrics(): void {
    if (this.#said === undefined) return;
    for (const metric of this.#scope.records()) this.#move(metric, this.#home);
    this.#removeFromScope();
  }

  records(this: ScopeWalk<JobRecord>, signal: JobSignal): void {
    const reader = this.#readers[signal];
    const mirrorKey = signal === "logs" && this.#context.config.mirror_job_id ? SPELLINGS.jobId[0] : undefined;
    const settings = { mirrorKey, count: this.#context.count };
    // A job under its canonical key alone leaves nothing to do, unless it wants a mirror.
    const aside = mirrorKey === undefined ? canonicalJobId(signal) : undefined;
    const keys = reader.keysBut(aside);
    const records = this.#said === undefined ? this.#scope.recordsHaving(keys) : this.#scope.records();
    for (const record of records) {
      const readings = reader.read(record.attributes, aside);
      if (readings !== undefined) {
        canonicaliseJob(record.attributes, readings, signal, settings);
        this.#place(record, readings);
      } else if (this.#said !== undefined) this.#move(record, this.#home);
    }
    this.#removeFromScope();
  }

  #place(this: ScopeWalk<JobRecord>, record: JobRecord, readings: Readings): void {
    const spoken = spokenOf(readings);
    const target = spoken === undefined ? undefined : this.#identity.target(spoken, this.#said);
    const isMoved = this.#move(record, target ?? this.#home);
    if (isMoved && target !== undefined) this.#identity.removeMoved(record.attributes, readings, target.identity);
  }

  #move(record: R, target: Target): boolean {
    const isMoved = this.#identity.move(record, target);
    if (!isMoved) this.#isStuck = true;
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
