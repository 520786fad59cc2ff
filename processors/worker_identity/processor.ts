import {
  defineProcessor,
  type BatchContext,
  type BatchView,
  type LogRecordView,
  type MetricView,
  type ResourceGroup,
  type ScopeGroup,
  type SpanView,
} from "signalbox/sdk";
import { workerIdentityConfig, type WorkerIdentityConfig } from "./config.ts";
import { GroupIdentity, IDENTITY_FIELDS, isSaidBy, type IdentityField, type Target } from "./group-identity.ts";
import { chosenOf, spokenOf, type Said } from "./identity.ts";
import { canonicaliseJob, handDownJobs, recordReader, type JobSignal } from "./jobs.ts";
import { hasMirrors, ORIGINAL_INSTANCE_ID, writeIdentity, writeServiceName } from "./resource-edits.ts";
import { FieldReader, idText, SPELLINGS, type Readings } from "./spellings.ts";

type Context = BatchContext<WorkerIdentityConfig>;
type JobRecord = LogRecordView | SpanView;

const NOTHING: Readings = {};

const RESOURCE_READER = new FieldReader([...IDENTITY_FIELDS, "jobId", "jobType"]);
const SCOPE_READER = new FieldReader(IDENTITY_FIELDS);
const RECORD_READERS = { logs: recordReader("logs", IDENTITY_FIELDS), traces: recordReader("traces", IDENTITY_FIELDS) };

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
    handDownJobs(group, readings, signal);
    for (const scope of group.scopes()) new ScopeWalk(scope, identity).records(signal, ctx.config);
  }
}

/** A data point's label is part of its series, so below the resource only the scope is read. */
function identifyMetrics(batch: BatchView<MetricView>, ctx: Context): void {
  const senders = sendersOf(ctx);
  for (const group of batch.resourceGroups()) {
    const readings = RESOURCE_READER.read(group.resource.attributes) ?? NOTHING;
    const identity = identifyResource(group, readings, senders, ctx);
    for (const scope of group.scopes()) new ScopeWalk(scope, identity).metrics();
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
  const place = { isMirrored: hasMirrors(ctx.signal), hasOriginal: attributes.has(ORIGINAL_INSTANCE_ID) };
  const chosen = chosenOf(readings);
  const identity = new GroupIdentity({ chosen, senders, mode: ctx.config.instance_id, place, count: ctx.count });
  writeIdentity(attributes, readings, identity.base.identity, ctx.signal);
  writeServiceName(attributes, ctx.config.service_name);
  if (identity.base.identity.original !== undefined) ctx.count("replaced_instance_id");
  return identity;
}

/** One scope and its records on their way to the resources where they belong. */
class ScopeWalk<R extends JobRecord | MetricView> {
  readonly #scope: ScopeGroup<R>;
  readonly #identity: GroupIdentity;
  readonly #readings: Readings;
  /** What the scope says for its records; undefined where it says nothing, or contradicts the resource. */
  readonly #said: Said | undefined;
  readonly #home: Target;
  /** The fields in which a record has gone by the scope's word. */
  readonly #taken = new Set<IdentityField>();
  #isStuck = false;

  constructor(scope: ScopeGroup<R>, identity: GroupIdentity) {
    this.#scope = scope;
    this.#identity = identity;
    this.#readings = SCOPE_READER.read(scope.scope.attributes) ?? NOTHING;
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

  records(this: ScopeWalk<JobRecord>, signal: JobSignal, config: WorkerIdentityConfig): void {
    const reader = RECORD_READERS[signal];
    const mirrorKey = signal === "logs" && config.mirror_job_id ? SPELLINGS.jobId[0] : undefined;
    for (const record of this.#scope.records()) {
      const readings = reader.read(record.attributes);
      if (readings !== undefined) canonicaliseJob(record.attributes, readings, signal, mirrorKey);
      this.#place(record, readings ?? NOTHING);
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
    if (this.#said === undefined) return isMoved;
    for (const field of IDENTITY_FIELDS) {
      if (isSaidBy(target.identity, field, this.#said[field])) this.#taken.add(field);
    }
    return isMoved;
  }

  /** The scope belongs to records that have moved and to those that could not: its word stays for the latter. */
  #removeFromScope(): void {
    if (this.#isStuck || this.#taken.size === 0) return;
    for (const field of this.#taken) {
      for (const key of this.#readings[field]?.keys ?? []) this.#scope.scope.attributes.delete(key);
    }
  }
}
