import type { Admission, AdmissionSettings } from "../../src/core/admission.ts";
import { ClientMetadata } from "../../src/core/client-metadata.ts";
import { ConsumeError } from "../../src/core/errors.ts";
import type { ConsumeErrorKind } from "../../src/core/errors.ts";
import type { Logger, LogLevel } from "../../src/core/logger.ts";
import type { Counter, Gauge, Histogram, Labels, Meter } from "../../src/core/meter.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import type { OutgoingRequest, Sender, SendResult } from "../../src/core/sender.ts";
import type { Signal } from "../../src/core/signal.ts";
import { retrySchema, sendingQueueSchema } from "../../src/queue/config.ts";
import type { RetryConfig, SendingQueueConfig } from "../../src/queue/config.ts";
import { createQueues } from "../../src/queue/queues.ts";
import type { DestinationSettings, Queues, QueuesSettings } from "../../src/queue/queues.ts";
import type { EncodedPayload } from "../../src/wire/otlp/types.ts";
import { TestClock } from "../support/test-clock.ts";

/** Keeps the lines it was told, as `level message`. */
export class RecordingLogger implements Logger {
  readonly lines: string[];

  constructor(lines: string[] = []) {
    this.lines = lines;
  }

  debug(message: string): void {
    this.#add("debug", message);
  }

  info(message: string): void {
    this.#add("info", message);
  }

  warn(message: string): void {
    this.#add("warn", message);
  }

  error(message: string): void {
    this.#add("error", message);
  }

  with(): Logger {
    return this;
  }

  matching(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }

  #add(level: LogLevel, message: string): void {
    this.lines.push(`${level} ${message}`);
  }
}

/** Keeps the value of each series under `name{label=value,...}`. */
export class RecordingMeter implements Meter {
  readonly #values = new Map<string, number>();
  readonly #reads = new Map<string, () => number>();

  shows(): boolean {
    return false;
  }

  counter(name: string, labels: Labels): Counter {
    const key = seriesKey(name, labels);
    return { add: (value) => void this.#values.set(key, (this.#values.get(key) ?? 0) + value) };
  }

  gauge(name: string, labels: Labels): Gauge {
    const key = seriesKey(name, labels);
    return { set: (value) => void this.#values.set(key, value) };
  }

  observableGauge(name: string, labels: Labels, _description: unknown, read: () => number): void {
    this.#reads.set(seriesKey(name, labels), read);
  }

  observableUpDownCounter(name: string, labels: Labels, _description: unknown, read: () => number): void {
    this.#reads.set(seriesKey(name, labels), read);
  }

  histogram(): Histogram {
    return { record: () => undefined };
  }

  value(key: string): number | undefined {
    return this.#reads.get(key)?.() ?? this.#values.get(key);
  }
}

function seriesKey(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return `${name}{${pairs.join(",")}}`;
}

interface OpenAttempt {
  readonly request: OutgoingRequest;
  readonly resolve: (result: SendResult) => void;
  readonly reject: (error: ConsumeError) => void;
}

/** A backend whose answers a test decides, one by one or by a rule. It honours the abort of an attempt. */
export class TestSender implements Sender {
  readonly requests: OutgoingRequest[] = [];
  /** Payloads it has answered with a success. */
  readonly taken: EncodedPayload[] = [];
  /** Attempts that wait for their answer. */
  readonly #open: OpenAttempt[] = [];
  #rule: (request: OutgoingRequest) => SendResult | ConsumeError | "hang" = () => SENT_WHOLE;

  answer(rule: (request: OutgoingRequest) => SendResult | ConsumeError | "hang"): this {
    this.#rule = rule;
    return this;
  }

  hang(): this {
    return this.answer(() => "hang");
  }

  fail(kind: ConsumeErrorKind, message = "connect ECONNREFUSED", retryAfterMs?: number): this {
    return this.answer(() => new ConsumeError(kind, message, retryAfterMs === undefined ? {} : { retryAfterMs }));
  }

  work(): this {
    return this.answer(() => SENT_WHOLE);
  }

  get openCount(): number {
    return this.#open.length;
  }

  /** The attempt that has waited longest. */
  get oldestOpen(): OutgoingRequest | undefined {
    return this.#open[0]?.request;
  }

  get takenItems(): number {
    return this.taken.reduce((sum, payload) => sum + payload.itemCount, 0);
  }

  /** Answers the attempt that has waited longest. */
  release(result: SendResult | ConsumeError = SENT_WHOLE): void {
    const open = this.#open.shift();
    if (result instanceof ConsumeError) open?.reject(result);
    else open?.resolve(result);
  }

  async send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    this.requests.push(request);
    const answer = this.#rule(request);
    const result = answer === "hang" ? await this.#hold(request, signal) : answer;
    if (result instanceof ConsumeError) throw result;
    this.taken.push(request.payload);
    return result;
  }

  #hold(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    return new Promise((resolve, reject) => {
      const open: OpenAttempt = { request, resolve, reject };
      this.#open.push(open);
      signal.addEventListener("abort", () => {
        const index = this.#open.indexOf(open);
        if (index >= 0) this.#open.splice(index, 1);
        reject(new ConsumeError("retryable", "aborted"));
      });
    });
  }
}

/** A payload that no backend reads: `items` items in `size` bytes. */
export function payloadOf(items: number, size = items * 100): EncodedPayload {
  return { slices: [new Uint8Array(size)], size, itemCount: items };
}

/** An ExportLogsServiceRequest whose records have these bodies, all under one resource and scope. */
export function logsRequest(bodies: readonly string[]): Uint8Array {
  const records = bodies.map((body) => field(2, field(5, field(1, new TextEncoder().encode(body)))));
  return field(1, field(2, concat(records)));
}

export function logsPayload(bodies: readonly string[]): EncodedPayload {
  const bytes = logsRequest(bodies);
  return { slices: [bytes], size: bytes.length, itemCount: bodies.length };
}

/** The bodies in a request of one-byte lengths, as written by logsRequest() or split from it. */
export function bodiesIn(payload: EncodedPayload, bodies: readonly string[]): string[] {
  const text = new TextDecoder("latin1").decode(concat(payload.slices));
  return bodies.filter((body) => text.includes(body));
}

function field(number: number, content: Uint8Array): Uint8Array {
  return concat([Uint8Array.of((number << 3) | 2, ...varint(content.length)), content]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function queueConfig(written: Record<string, unknown> = {}): SendingQueueConfig {
  return sendingQueueSchema.parse(written);
}

export function retryConfig(written: Record<string, unknown> = {}): RetryConfig {
  return retrySchema.parse(written);
}

export interface TestDestination {
  readonly id?: string;
  readonly sender?: Sender;
  readonly queue?: Record<string, unknown>;
  readonly retry?: Record<string, unknown>;
  readonly timeoutMs?: number;
  readonly delivery?: "required" | "best_effort";
  readonly requestBytesMax?: number;
}

export interface TestQueues {
  readonly queues: Queues;
  readonly clock: TestClock;
  readonly logger: RecordingLogger;
  readonly meter: RecordingMeter;
}

/** Queues over a clock that stands still, with jitter in the middle, not started. */
export function openQueues(
  destinations: readonly TestDestination[],
  settings: Partial<Omit<QueuesSettings, "destinations">> & { clock?: TestClock } = {},
): TestQueues {
  const clock = settings.clock ?? new TestClock();
  const logger = new RecordingLogger();
  const meter = new RecordingMeter();
  const queues = createQueues({
    logger,
    meter,
    random: () => 0.5,
    ...settings,
    clock,
    destinations: destinations.map(destinationOf),
  });
  return { queues, clock, logger, meter };
}

function destinationOf(destination: TestDestination, index: number): DestinationSettings {
  const {
    id = `test/${index}`,
    sender = new TestSender(),
    queue,
    retry,
    timeoutMs = 0,
    delivery = "required",
    requestBytesMax = Infinity,
  } = destination;
  return {
    id,
    sender,
    queue: queueConfig(queue),
    retry: retryConfig(retry),
    timeoutMs,
    delivery,
    requestBytesMax,
    signals: ["logs"],
  };
}

/** Opens an admission as a receiver does that got `items` log records. */
export function openAdmission(
  queues: Queues,
  settings: Partial<AdmissionSettings> & { items?: number } = {},
): Admission {
  const { items = 1, ...rest } = settings;
  return queues.admit({
    client: ClientMetadata.internal,
    opener: "receiver otlp",
    received: { signal: "logs", items },
    ...rest,
  });
}

/** Opens, enlists the same payload at each destination, commits. */
export function admit(
  queues: Queues,
  destinations: readonly string[],
  payload: EncodedPayload = payloadOf(1),
  settings: Partial<AdmissionSettings> = {},
): Promise<void> {
  const admission = openAdmission(queues, { items: payload.itemCount, ...settings });
  for (const destination of destinations) admission.enlist({ destination, signal: "logs", payload });
  return admission.commit();
}

/** What became of a promise so far: "pending", "ok" or the error's kind. */
export function watch(promise: Promise<void>): { readonly state: string; readonly error: ConsumeError | undefined } {
  const watched: { state: string; error: ConsumeError | undefined } = { state: "pending", error: undefined };
  promise.then(
    () => (watched.state = "ok"),
    (error: unknown) => {
      watched.error = ConsumeError.from(error);
      watched.state = watched.error.kind;
    },
  );
  return watched;
}

export function ledgerLine(queues: Queues, destination: string, signal: Signal = "logs") {
  const found = queues.ledger
    .snapshot()
    .destinations.find((one) => one.destination === destination && one.signal === signal);
  if (found === undefined) throw new Error(`the ledger has no line for ${destination}`);
  return found;
}
