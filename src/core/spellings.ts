/**
 * The one table of the names under which workers, their queue and the libraries between say who they are and what job
 * they work on. The first of each line is canonical; where spellings disagree, the earlier counts.
 * processors/worker_identity writes the canonical one, the store finds them all.
 */
export const SPELLINGS = {
  machine: ["machine.id", "machine_id", "machineId", "emp.machine_id", "emp.machine.id"],
  worker: ["worker.id", "worker_id", "workerId", "emp.worker_id", "emp.worker.id"],
  serviceType: ["service.type", "service_type", "serviceType", "emp.service_type", "emp.service.type"],
  instance: ["service.instance.id", "service_instance_id", "serviceInstanceId"],
  jobId: ["job.id", "job_id", "jobId", "emp.job_id", "emp.job.id"],
  jobType: ["job.type", "job_type", "jobType", "emp.job_type", "emp.job.type"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
