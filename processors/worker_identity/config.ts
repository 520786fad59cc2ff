import { z } from "signalbox/sdk";

/** An unset `${env:NAME:-}` gives "", which means: no default. */
const id = (what: string) =>
  z
    .string()
    .trim()
    .max(256)
    .default("")
    .describe(
      `The ${what} of telemetry that says none itself: not on the resource, the record, the scope or a header.`,
    );

export const workerIdentityConfig = z.strictObject({
  instance_id: z
    .enum(["replace_generated", "insert", "overwrite"])
    .default("replace_generated")
    .describe(
      "When `service.instance.id` is set to `machine-<machine_id>.<worker_id>`: where it is absent or a UUID (`replace_generated`), only where it is absent (`insert`), wherever machine and worker are known (`overwrite`).",
    ),
  machine_id: id("machine id"),
  worker_id: id("worker id"),
  service_type: id("service type"),
  service_name: id("service name").describe(
    "`service.name` of a resource that has none, or one that begins with `unknown_service`. Empty: it is left as it is.",
  ),
  mirror_job_id: z.boolean().default(false).describe("Keep `job.id` beside `job_id` on log records."),
});

export type WorkerIdentityConfig = z.output<typeof workerIdentityConfig>;
