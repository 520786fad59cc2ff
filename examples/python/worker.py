"""A worker on the official Python SDK, with nothing of Signalbox in it.

Who it is stands in OTEL_RESOURCE_ATTRIBUTES=machine.id=...,worker.id=...,service.type=... alone.
Where its telemetry goes: OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL (grpc, the default, or http/protobuf).
JOBS (default 8) and SEED are read as in the Node examples.
"""

import logging
import os
import random
import time

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

STEPS = [
    ("process.validate_input", 0.01, "mesh has 48210 cells"),
    ("process.execute_simulation", 0.09, "solver started, tolerance 1e-6"),
    ("process.validate_output", 0.015, "checking energy balance"),
]


class ConvergenceError(RuntimeError):
    """The made-up failure of a simulation."""


def start_telemetry():
    """Registers the three providers with the SDK's own defaults and returns them for a clean end."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    meters = MeterProvider(metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=5000)])
    metrics.set_meter_provider(meters)
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    _logs.set_logger_provider(loggers)
    logging.basicConfig(level=logging.DEBUG, format="%(message)s", handlers=[LoggingHandler(logger_provider=loggers)])
    # The exporters' own chatter would come back as telemetry.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    return tracers, meters, loggers


def run_job(job_id, fails, log, tracer, counters):
    """One job: a span, its steps as child spans, a line for each; a failing job raises inside its second step."""
    started = time.monotonic()
    log.debug("polling the queue")
    with tracer.start_as_current_span("job.process", kind=SpanKind.CONSUMER, record_exception=False) as span:
        span.set_attribute("job.id", job_id)
        span.set_attribute("job.type", "simulation")
        log.info("Processing job %s", job_id, extra={"job_id": job_id})
        try:
            for index, (name, seconds, line) in enumerate(STEPS):
                with tracer.start_as_current_span(name, attributes={"job.id": job_id}):
                    log.info(line, extra={"job_id": job_id})
                    time.sleep(seconds)
                    if fails and index == 1:
                        raise ConvergenceError("solver diverged at step 412: residual 3.2e+8")
        except ConvergenceError as error:
            span.set_status(Status(StatusCode.ERROR, str(error)))
            log.exception("Job failed %s: %s", job_id, error, extra={"job_id": job_id})
            counters["failed"].add(1, {"service_type": "simulation"})
            print(job_id, "failed", flush=True)
            return
        duration_ms = round((time.monotonic() - started) * 1000)
        log.info("Job completed %s %dms", job_id, duration_ms, extra={"job_id": job_id, "duration_ms": duration_ms})
        counters["completed"].add(1, {"service_type": "simulation"})
        print(job_id, "completed", flush=True)


def main():
    """Works its jobs, then flushes everything."""
    providers = start_telemetry()
    chance = random.Random(os.environ.get("SEED"))
    meter = metrics.get_meter("worker")
    counters = {
        "completed": meter.create_counter("jobs_completed_total"),
        "failed": meter.create_counter("jobs_failed_total"),
    }
    tracer = trace.get_tracer("worker")
    log = logging.getLogger("worker")
    for _ in range(int(os.environ.get("JOBS", "8"))):
        run_job(f"job-{chance.randrange(0xFFFFFF):06x}", chance.random() < 0.25, log, tracer, counters)
    for provider in providers:
        provider.shutdown()


if __name__ == "__main__":
    main()
