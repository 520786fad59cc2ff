import type { Attributes, AttributeValue } from "../wire/otlp/types.ts";
import { spellingsOf } from "./spellings.ts";

/** Who speaks. "" where unknown. */
export interface Origin {
  readonly machineId: string;
  readonly workerId: string;
  readonly serviceType: string;
  readonly serviceName: string;
  readonly instanceId: string;
}

const MACHINE_KEYS = spellingsOf("machine_id");
const WORKER_KEYS = spellingsOf("worker_id");
const TYPE_KEYS = spellingsOf("service_type");
const JOB_KEYS = spellingsOf("job_id");
const DURATION_KEYS = spellingsOf("duration_ms");

// One walk over the bytes for all keys; the slices below say which results belong together.
const RESOURCE_KEYS = [
  ...MACHINE_KEYS,
  ...WORKER_KEYS,
  ...TYPE_KEYS,
  ...JOB_KEYS,
  "service.name",
  "service.instance.id",
];
const RECORD_KEYS = [...MACHINE_KEYS, ...WORKER_KEYS, ...TYPE_KEYS, ...JOB_KEYS, ...DURATION_KEYS];

function takeGroups(values: readonly (AttributeValue | undefined)[], sizes: readonly number[]): string[] {
  let start = 0;
  return sizes.map((size) => {
    const found = values.slice(start, start + size).find((value) => value !== undefined && value !== "");
    start += size;
    return found === undefined || typeof found === "object" ? "" : String(found);
  });
}

const RESOURCE_SIZES = [MACHINE_KEYS.length, WORKER_KEYS.length, TYPE_KEYS.length, JOB_KEYS.length, 1, 1];
const RECORD_SIZES = [MACHINE_KEYS.length, WORKER_KEYS.length, TYPE_KEYS.length, JOB_KEYS.length, DURATION_KEYS.length];

export interface ResourceIdentity {
  readonly origin: Origin;
  /** Of a process that lives for one job; "" for all others. */
  readonly jobId: string;
}

export function resourceIdentity(attributes: Attributes): ResourceIdentity {
  const found = takeGroups(attributes.getMany(RESOURCE_KEYS), RESOURCE_SIZES);
  const [machineId = "", workerId = "", serviceType = "", jobId = "", serviceName = "", instanceId = ""] = found;
  return { origin: { machineId, workerId, serviceType, serviceName, instanceId }, jobId: jobId.trim() };
}

export interface RecordKeys {
  readonly origin: Origin;
  readonly jobId: string;
  readonly durationMs: number | undefined;
}

/**
 * What a log record or span says itself. The resource wins where both name a machine, worker or type: a supervisor may
 * speak about another worker (design: identity and correlation).
 */
export function recordKeys(attributes: Attributes, resource: ResourceIdentity): RecordKeys {
  const found = takeGroups(attributes.getMany(RECORD_KEYS), RECORD_SIZES);
  const [machineId = "", workerId = "", serviceType = "", jobId = "", duration = ""] = found;
  const durationMs = duration.trim() === "" ? Number.NaN : Number(duration);
  return {
    origin: completeOrigin(resource.origin, { machineId, workerId, serviceType }),
    jobId: jobId.trim() || resource.jobId,
    durationMs: Number.isFinite(durationMs) ? durationMs : undefined,
  };
}

/** Most records add nothing, and then share their resource's object: the writer finds its origin by identity first. */
function completeOrigin(resource: Origin, own: Pick<Origin, "machineId" | "workerId" | "serviceType">): Origin {
  const machineId = resource.machineId || own.machineId;
  const workerId = resource.workerId || own.workerId;
  const serviceType = resource.serviceType || own.serviceType;
  const isSame =
    machineId === resource.machineId && workerId === resource.workerId && serviceType === resource.serviceType;
  return isSame ? resource : { ...resource, machineId, workerId, serviceType };
}
