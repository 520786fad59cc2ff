/** What both Node workers do; they differ only in how their telemetry leaves. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  context,
  type Context,
  type Logger,
  SeverityNumber,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { LoggerProvider } from "@opentelemetry/sdk-logs";
import type { TracerProvider } from "@opentelemetry/sdk-trace";
import { isServiceType, type Job, makeJob, seededRandom } from "./jobs.ts";

export interface Providers {
  readonly loggers: LoggerProvider;
  readonly tracers: TracerProvider;
  readonly meters: MeterProvider;
}

class StepError extends Error {}

/**
 * Works JOBS jobs (default 8) of SERVICE_TYPE and prints the id of each. Who the worker is stands in
 * OTEL_RESOURCE_ATTRIBUTES alone; no code of Signalbox is needed in a worker.
 */
export async function work(providers: Providers): Promise<void> {
  const serviceType = process.env["SERVICE_TYPE"];
  const type = isServiceType(serviceType) ? serviceType : "comfyui";
  const random = seededRandom(Number(process.env["SEED"] ?? Date.now()));
  const worker = new Worker(providers);
  for (let left = Number(process.env["JOBS"] ?? 8); left > 0; left -= 1) {
    await worker.run(makeJob(type, random), type);
  }
  await Promise.all([providers.loggers.shutdown(), providers.tracers.shutdown(), providers.meters.shutdown()]);
}

class Worker {
  readonly #logger: Logger;
  readonly #tracer: Tracer;
  readonly #completed;
  readonly #failed;
  readonly #durations;

  constructor({ loggers, tracers, meters }: Providers) {
    this.#logger = loggers.getLogger("worker");
    this.#tracer = tracers.getTracer("worker");
    const meter = meters.getMeter("worker");
    this.#completed = meter.createCounter("jobs_completed_total");
    this.#failed = meter.createCounter("jobs_failed_total");
    this.#durations = meter.createHistogram("job_duration_seconds", { unit: "s" });
  }

  async run(job: Job, serviceType: string): Promise<void> {
    // A line without a job id: what the same worker says between jobs is part of the story when a job fails.
    this.#say(SeverityNumber.DEBUG, "DEBUG", "polling the queue", {});
    const startMs = performance.now();
    const span = this.#tracer.startSpan("job.process", {
      kind: SpanKind.CONSUMER,
      attributes: { "job.id": job.id, "job.type": job.type },
    });
    const inside = trace.setSpan(context.active(), span);
    this.#say(SeverityNumber.INFO, "INFO", `Processing job ${job.id}`, { job_id: job.id }, inside);
    try {
      for (const index of job.steps.keys()) await this.#step(job, index, inside);
      this.#finish(job, serviceType, performance.now() - startMs, inside);
    } catch (error) {
      if (!(error instanceof StepError) || job.failure === undefined) throw error;
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
      this.#fail(job, serviceType, job.failure, inside);
    } finally {
      span.end();
    }
  }

  async #step(job: Job, index: number, parent: Context): Promise<void> {
    const step = job.steps[index]!;
    const span = this.#tracer.startSpan(step.name, { attributes: { "job.id": job.id } }, parent);
    const inside = trace.setSpan(parent, span);
    this.#say(SeverityNumber.INFO, "INFO", step.line, { job_id: job.id }, inside);
    await sleep(step.durationMs);
    try {
      if (job.failure?.stepIndex !== index) return;
      const error = new StepError(job.failure.message);
      span.recordException({
        name: job.failure.type,
        message: job.failure.message,
        ...(error.stack && { stack: error.stack }),
      });
      span.setStatus({ code: SpanStatusCode.ERROR, message: job.failure.message });
      throw error;
    } finally {
      span.end();
    }
  }

  #finish(job: Job, serviceType: string, durationMs: number, inside: Context): void {
    const rounded = Math.round(durationMs);
    this.#say(
      SeverityNumber.INFO,
      "INFO",
      `Job completed ${job.id} ${rounded}ms`,
      { job_id: job.id, duration_ms: rounded },
      inside,
    );
    this.#completed.add(1, { service_type: serviceType });
    this.#durations.record(durationMs / 1000, { service_type: serviceType });
    process.stdout.write(`${job.id} completed\n`);
  }

  #fail(job: Job, serviceType: string, failure: NonNullable<Job["failure"]>, inside: Context): void {
    const attributes = { job_id: job.id, "exception.type": failure.type, "exception.message": failure.message };
    this.#say(SeverityNumber.ERROR, "ERROR", `Job failed ${job.id}: ${failure.message}`, attributes, inside);
    this.#failed.add(1, { service_type: serviceType });
    process.stdout.write(`${job.id} failed\n`);
  }

  #say(
    severityNumber: SeverityNumber,
    severityText: string,
    body: string,
    attributes: Record<string, string | number>,
    inside?: Context,
  ): void {
    this.#logger.emit({ severityNumber, severityText, body, attributes, ...(inside && { context: inside }) });
  }
}
