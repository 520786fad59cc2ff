import { z } from "zod";
import {
  annotate,
  block,
  defaultBlock,
  duration,
  endpoint,
  optionalBlock,
  refuse,
  secretMap,
  withoutEffect,
  word,
} from "./types.ts";

/** `service.telemetry`: the Collector's keys. What this gateway does not do yet is read, checked, and said in a warning. */

const prometheusExporter = block({
  host: z.string().default("localhost").describe("Address on which the metrics are served."),
  port: z.int().min(0).max(65_535).default(8888).describe("Port of the metrics page."),
  without_type_suffix: z.boolean().default(true).describe("Leaves out `_total`; both this and units, or neither."),
  without_units: z
    .boolean()
    .default(true)
    .describe("Leaves units out of the names; both this and `_total`, or neither."),
  without_scope_info: z.boolean().default(true).describe("Leaves out the scope labels."),
  with_resource_constant_labels: withoutEffect(
    block({
      included: z.array(z.string()).optional().describe("Attributes to put on every metric."),
      excluded: z.array(z.string()).optional().describe("Attributes to leave out."),
    }).optional(),
    "the resource stands in target_info alone",
  ).describe("Read for compatibility."),
});

const otlpExporter = block({
  protocol: z.enum(["grpc", "http/protobuf", "http/json"]).default("http/protobuf").describe("How it is sent."),
  endpoint: z.string().min(1).describe("Where it is sent."),
  headers: secretMap().describe("Headers sent with every request."),
  compression: z.enum(["gzip", "none"]).default("none").describe("How requests are compressed."),
  insecure: z
    .boolean()
    .default(true)
    .describe("Plain text, where the endpoint has no scheme to say so; false is TLS. The Collector's default is TLS."),
  certificate: pem("PEM file with the authorities that may sign the server's certificate; default: those Node knows."),
  client_certificate: pem("PEM file with our certificate, where the server asks for one."),
  client_key: pem("PEM file with its key."),
  timeout: withoutEffect(z.int().min(0).optional(), "the reader's own timeout bounds an export").describe(
    "Read for compatibility.",
  ),
  temporality_preference: annotate(z.literal("cumulative").optional(), {
    fix: "write cumulative, or leave it out: own metrics are sums since the start",
  }).describe("What counters count from: cumulative, the only one here."),
}).superRefine((otlp, context) => {
  if ((otlp.client_certificate === undefined) === (otlp.client_key === undefined)) return;
  const hasKey = otlp.client_key !== undefined;
  const present = hasKey ? "client_key" : "client_certificate";
  const absent = hasKey ? "client_certificate" : "client_key";
  const message = "a certificate and its key go together";
  refuse(context, { path: [present], message, fix: `add ${absent}, or leave both out` });
});

function pem(meaning: string): z.ZodOptional<z.ZodString> {
  return z.string().min(1).optional().describe(meaning);
}

/** The Collector takes milliseconds here (OpenTelemetry's declarative configuration), and people write durations. */
function durationOrMs(standard: string): ReturnType<typeof duration> {
  return duration({ default: standard, positive: true, numbersAreMs: true });
}

const reader = block({
  pull: block({
    exporter: block({
      prometheus: optionalBlock(prometheusExporter).describe("A page for Prometheus to scrape."),
    }).describe("Which form they have."),
  })
    .optional()
    .describe("Metrics that others fetch."),
  periodic: block({
    interval: durationOrMs("60s").describe("Time between two exports; a plain number is milliseconds."),
    timeout: durationOrMs("30s").describe("Time for one export; a plain number is milliseconds."),
    exporter: block({ otlp: otlpExporter.optional().describe("OTLP push.") }).describe("Where they go."),
  })
    .optional()
    .describe("Metrics that are pushed."),
});

const metricsBlock = block({
  level: word(["none", "basic", "normal", "detailed"]).prefault("normal").describe("How many own metrics there are."),
  address: endpoint().optional().describe("Where the metrics page is served; the short form of a reader."),
  readers: z.array(reader).optional().describe("How own metrics are read."),
  views: withoutEffect(z.array(z.unknown()).optional(), "own metrics are shown as they are").describe("Views of them."),
}).superRefine(({ level, readers, views }, context) => {
  if (readers?.length === 0 && level !== "none") {
    const message = "collector telemetry metrics reader should exist when metric level is not none";
    refuse(context, {
      path: ["readers"],
      message,
      fix: "leave readers out for the page on :8888, or write level: none",
    });
  }
  if (views !== undefined && level !== "detailed") {
    const message =
      "service::telemetry::metrics::views can only be set when service::telemetry::metrics::level is detailed";
    refuse(context, { path: ["views"], message, fix: "leave views out" });
  }
});

const metrics = metricsBlock.prefault({});

type LogLevel = "debug" | "info" | "warn" | "error";

// What the Collector's logger reads besides; nothing here is worse than an error.
const OTHER_LOG_LEVELS = { warning: "warn", dpanic: "error", panic: "error", fatal: "error", "": "info" } as const;

const logLevel = annotate(
  word(["debug", "info", "warn", "error", "warning", "dpanic", "panic", "fatal", ""]).transform(
    (level): LogLevel => OTHER_LOG_LEVELS[level as keyof typeof OTHER_LOG_LEVELS] ?? (level as LogLevel),
  ),
  { type: "`debug`, `info`, `warn`, `error`", fix: 'write one of "debug", "info", "warn", "error"' },
).prefault("info");

const LOGS_GO_TO_STDERR = "the gateway's log goes to stderr, one line an entry";

const logs = defaultBlock({
  level: logLevel.describe("The least important entries that are written."),
  encoding: z.enum(["console", "json"]).default("console").describe("Lines for people, or a JSON object a line."),
  output_paths: withoutEffect(z.array(z.string()).optional(), LOGS_GO_TO_STDERR).describe("Where the log goes."),
  error_output_paths: withoutEffect(z.array(z.string()).optional(), LOGS_GO_TO_STDERR).describe("Where its errors go."),
  initial_fields: z.record(z.string(), z.unknown()).default({}).describe("Fields of every entry."),
  development: withoutEffect(z.boolean().optional(), "there is no development mode").describe("Development mode."),
  disable_caller: withoutEffect(z.boolean().optional(), "entries have no caller").describe("Leaves the caller out."),
  disable_stacktrace: withoutEffect(z.boolean().optional(), "entries have no stack trace").describe(
    "Leaves stack traces out.",
  ),
  sampling: withoutEffect(
    block({
      enabled: z.boolean().default(true).describe("Samples at all."),
      tick: duration({ default: "10s" }).describe("The span that is counted in."),
      initial: z.int().min(0).default(10).describe("Entries written in each span."),
      thereafter: z.int().min(0).default(100).describe("Of the rest, each so-many-th."),
    }).optional(),
    "the gateway logs changes of state only",
  ).describe("Sampling of the log."),
  processors: withoutEffect(z.array(z.unknown()).optional(), LOGS_GO_TO_STDERR).describe("Where else the log goes."),
});

const NO_TRACES = "the gateway records no traces of its own";

const traces = withoutEffect(
  block({
    level: word(["none", "basic", "normal", "detailed"]).optional().describe("How many own spans there are."),
    propagators: z.array(z.string()).optional().describe("Propagation formats."),
    processors: z.array(z.unknown()).optional().describe("Where own spans go."),
  }).optional(),
  NO_TRACES,
);

const resourceAttribute = block({
  name: z.string().min(1).describe("Its key."),
  value: z.union([z.string(), z.number(), z.boolean()]).describe("Its value."),
  type: z.string().optional().describe("The value's type; what is written has one already."),
});

/** The declarative form, and the older one: a map of names to texts, where null leaves out what the gateway would set. */
const resource = z
  .union([
    block({
      attributes: z.array(resourceAttribute).default([]).describe("Attributes, each with name and value."),
      schema_url: withoutEffect(z.string().optional(), "own telemetry has no schema URL").describe("The schema's URL."),
      "detection/development": withoutEffect(z.unknown().optional(), "nothing is detected").describe("Detectors."),
    }).transform(({ attributes }) => Object.fromEntries(attributes.map(({ name, value }) => [name, String(value)]))),
    z.record(z.string(), z.string().nullable()),
  ])
  .prefault({});

export const telemetryConfig = defaultBlock({
  metrics: metrics.describe("Metrics of the gateway itself."),
  logs: logs.describe("The gateway's own log."),
  traces: traces.describe("Traces of the gateway itself."),
  resource: resource.describe("Attributes of the gateway's own telemetry."),
});

export type TelemetryConfig = z.output<typeof telemetryConfig>;
