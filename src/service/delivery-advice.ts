import type { Configuration, ConfiguredPipeline } from "../config/configuration.ts";
import type { Problem } from "../config/problem.ts";
import type { FileStorageConfig } from "../extensions/file_storage/config.ts";
import { admissionBytesMaxOf } from "../queue/segment-log/record-room.ts";
import { deliveryOf, keysOf } from "./destinations.ts";
import { storageOf } from "./storages.ts";

/** What a configuration means for delivery, said before it runs: what may duplicate, what may be lost, what can stop what. */

/** Where the contract is weaker than "accepted means kept, once". */
export function deliveryWarnings(configuration: Configuration): Problem[] {
  return [
    ...duplicating(configuration),
    ...tooSmall(configuration),
    ...tooFew(configuration),
    ...tooSmallStorage(configuration),
    ...unusedStorage(configuration),
    ...idleBatches(configuration),
    ...slowBatches(configuration),
    ...emptyPartitions(configuration),
    ...forgotten(configuration),
    ...unkept(configuration),
  ];
}

/** Destinations without a queue that share admissions with others: a refusal comes after they may have had the data. */
function duplicating(configuration: Configuration): Problem[] {
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const others = companionsOf(id, configuration);
    if (!isDirect(id, configuration) || !isRequired(id, configuration) || others.length === 0) return [];
    const { enabled } = keysOf(exporter).sending_queue;
    const { position, path } = placeOf(id, enabled ? "wait_for_result" : "enabled", configuration);
    const message = `sends while the sender waits, beside ${others.join(", ")}: when one of them refuses, what this one got comes again (at-least-once)`;
    const fix = enabled ? "leave wait_for_result out" : "leave the queue on, unless duplicates do no harm there";
    return [{ position, path, message, fix }];
  });
}

/** The required ones that an admission may reach together with this one: over all pipelines of a receiver, for one signal. */
function companionsOf(id: string, configuration: Configuration): string[] {
  const all = [...configuration.pipelines.values()];
  const own = all.filter(({ exporters }) => exporters.includes(id));
  const isShared = ({ signal, receivers }: ConfiguredPipeline): boolean =>
    own.some((pipeline) => pipeline.signal === signal && pipeline.receivers.some((name) => receivers.includes(name)));
  const reached = all.filter(isShared).flatMap(({ exporters }) => exporters);
  return [...new Set(reached)].filter((other) => other !== id && isRequired(other, configuration));
}

/** Required queues that can never keep what a door takes: such a request is refused for good, however empty the queue is. */
function tooSmall(configuration: Configuration): Problem[] {
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const { enabled, sizer, queue_size } = keysOf(exporter).sending_queue;
    if (!enabled || sizer !== "bytes" || !isRequired(id, configuration)) return [];
    const [largest] = doorsOf(id, configuration).toSorted((a, b) => b.bytes - a.bytes);
    if (largest === undefined || largest.bytes <= queue_size) return [];
    const message = `holds ${queue_size} bytes, but ${largest.receiver} takes requests of up to ${largest.bytes} bytes: a larger one than the queue is refused for good`;
    const fix = `write at least ${largest.bytes}, or let the receiver take less`;
    return [{ ...placeOf(id, "queue_size", configuration), message, fix }];
  });
}

/** What the SDKs of OpenTelemetry send at once (OTEL_BSP_MAX_EXPORT_BATCH_SIZE). A receiver bounds bytes, not items. */
const ORDINARY_REQUEST_ITEMS = 512;

/** The same of queues in items. */
function tooFew(configuration: Configuration): Problem[] {
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const { enabled, sizer, queue_size } = keysOf(exporter).sending_queue;
    if (!enabled || sizer !== "items" || queue_size >= ORDINARY_REQUEST_ITEMS || !isRequired(id, configuration))
      return [];
    const message = `holds ${queue_size} items, but an ordinary request brings up to ${ORDINARY_REQUEST_ITEMS}: a larger one than the queue is refused for good`;
    const fix = `write at least ${ORDINARY_REQUEST_ITEMS}, or as many as your largest request holds`;
    return [{ ...placeOf(id, "queue_size", configuration), message, fix }];
  });
}

/** Whoever names a storage relies on it. */
function unusedStorage(configuration: Configuration): Problem[] {
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const { enabled, storage } = keysOf(exporter).sending_queue;
    if (enabled || storage === null) return [];
    const message = `names ${storage}, but \`enabled: false\` leaves no queue to keep there`;
    return [{ ...placeOf(id, "storage", configuration), message, fix: "leave one of the two out" }];
  });
}

/** Only where a request of such a size may come: what the storage can never hold is refused for good. */
function tooSmallStorage(configuration: Configuration): Problem[] {
  const id = storageOf(configuration);
  const extension = configuration.extensions.get(id ?? "");
  if (extension === undefined) return [];
  const { max_size: maxSize } = extension.config as FileStorageConfig;
  const queued = [...configuration.exporters.keys()].filter((name) => !isDirect(name, configuration));
  const doors = queued.flatMap((name) => doorsOf(name, configuration));
  const [largest] = doors.toSorted((a, b) => b.bytes - a.bytes);
  const kept = admissionBytesMaxOf(maxSize);
  if (maxSize === 0 || largest === undefined || largest.bytes <= kept) return [];
  const message = `keeps requests of up to ${kept} bytes, but ${largest.receiver} takes requests of up to ${largest.bytes} bytes: a larger one than the storage keeps is refused for good`;
  const fix = `write at least ${leastMaxSize(largest.bytes)}MiB, or let the receiver take less`;
  return [{ position: extension.positionOf(["max_size"]), path: `extensions.${id}.max_size`, message, fix }];
}

/** In MiB. */
function leastMaxSize(requestBytes: number): number {
  const mib = 1024 * 1024;
  let size = Math.ceil(requestBytes / mib);
  while (admissionBytesMaxOf(size * mib) < requestBytes) size += 1;
  return size;
}

/** Whoever writes a batch expects one. */
function idleBatches(configuration: Configuration): Problem[] {
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const { enabled, batch } = keysOf(exporter).sending_queue;
    if (batch === undefined || !isDirect(id, configuration)) return [];
    const cause = enabled ? "wait_for_result: true" : "enabled: false";
    const message = `has no effect: with \`${cause}\` each request is sent on its own`;
    return [{ ...placeOf(id, "batch", configuration), message, fix: "leave one of the two out" }];
  });
}

/** Beyond it a batch that does not fill makes records late enough to be taken for lost. */
const FLUSH_TIMEOUT_ORDINARY_MS = 3_600_000;

function slowBatches(configuration: Configuration): Problem[] {
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const { batch } = keysOf(exporter).sending_queue;
    if (batch === undefined || batch.flush_timeout <= FLUSH_TIMEOUT_ORDINARY_MS || isDirect(id, configuration))
      return [];
    const hours = Math.round(batch.flush_timeout / 3_600_000);
    const message = `lets a batch that does not fill wait for ${hours} hours before it is sent`;
    return [{ ...placeOf(id, "batch.flush_timeout", configuration), message, fix: 'write "200ms", or some seconds' }];
  });
}

/** Headers of senders are there only where a door passes them on. */
function emptyPartitions(configuration: Configuration): Problem[] {
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const keys = keysOf(exporter).sending_queue.batch?.metadata_keys ?? [];
    const receivers = receiversOf(id, configuration);
    if (keys.length === 0 || receivers.length === 0 || isDirect(id, configuration)) return [];
    if (receivers.some((name) => passesHeadersOn(configuration.receivers.get(name)?.config))) return [];
    const message = `keeps batches apart by headers of senders, but no receiver of its pipelines passes them on (${receivers.join(", ")}): all share one`;
    const fix = "write include_metadata: true under the receiver's protocols";
    return [{ ...placeOf(id, "batch.partition.metadata_keys", configuration), message, fix }];
  });
}

/** At whatever depth a receiver has it: for each protocol, or for all. */
function passesHeadersOn(config: unknown): boolean {
  if (typeof config !== "object" || config === null) return false;
  return Object.entries(config).some(([key, value]) =>
    key === "include_metadata" ? value === true : passesHeadersOn(value),
  );
}

function receiversOf(id: string, { pipelines }: Configuration): string[] {
  const own = [...pipelines.values()].filter(({ exporters }) => exporters.includes(id));
  return [...new Set(own.flatMap((pipeline) => pipeline.receivers))];
}

/** The receivers whose requests reach it, with the largest that each takes. */
function doorsOf(id: string, configuration: Configuration): { receiver: string; bytes: number }[] {
  return receiversOf(id, configuration).flatMap((name) => {
    const receiver = configuration.receivers.get(name);
    const bytes = receiver?.factory.requestBytesMax?.(receiver.config);
    return bytes === undefined ? [] : [{ receiver: name, bytes }];
  });
}

/** Where a key of an exporter's queue stands. */
function placeOf(id: string, key: string, { exporters }: Configuration): Pick<Problem, "position" | "path"> {
  const keys = ["sending_queue", ...key.split(".")];
  return { position: exporters.get(id)!.positionOf(keys), path: `exporters.${[id, ...keys].join(".")}` };
}

/** Dead letters in memory: whoever wants to look at them or to replay them has no way there. */
function forgotten(configuration: Configuration): Problem[] {
  if (storageOf(configuration) !== undefined) return [];
  return [...configuration.exporters].flatMap(([id, exporter]) => {
    const { enabled, overflow, dead_letters: letters } = keysOf(exporter).sending_queue;
    if (!enabled || (overflow !== "dead_letter" && letters.enabled !== true)) return [];
    const { position, path } = placeOf(id, overflow === "dead_letter" ? "overflow" : "dead_letters", configuration);
    const message = "keeps its dead letters in memory: they end with the process, and no command reaches them before";
    return [{ position, path, message, fix: "name a file_storage in sending_queue.storage" }];
  });
}

function unkept(configuration: Configuration): Problem[] {
  return [...configuration.pipelines].flatMap(([id, { exporters, position }]) => {
    if (exporters.some((exporter) => isRequired(exporter, configuration))) return [];
    const message = "has no required destination: what is accepted may be dropped";
    const fix = "add one, or write required: true under the sending_queue of one of its exporters";
    return [{ position, path: `service.pipelines.${id}.exporters`, message, fix }];
  });
}

/** One line for each pipeline and destination that can make its senders wait, or be refused. */
export function pipelineStoppers(configuration: Configuration): string[] {
  return [...configuration.pipelines].flatMap(([id, { exporters }]) =>
    exporters.flatMap((exporter) => {
      const reason = stopReason(exporter, configuration);
      return reason === undefined ? [] : [`${id} waits for ${exporter} ${reason}`];
    }),
  );
}

function stopReason(id: string, configuration: Configuration): string | undefined {
  if (!isRequired(id, configuration)) return undefined;
  if (isDirect(id, configuration)) return "to answer, since it has no queue in between";
  const { queue_size, sizer, overflow } = keysOf(configuration.exporters.get(id)!).sending_queue;
  if (overflow === "drop_oldest" || overflow === "dead_letter") return undefined;
  const end = overflow === "block" ? "as long as it takes" : "and then refuses";
  return `once its queue of ${queue_size} ${sizer} is full, ${end}`;
}

function isRequired(id: string, configuration: Configuration): boolean {
  return configuration.exporters.has(id) && deliveryOf(id, configuration) === "required";
}

function isDirect(id: string, { exporters }: Configuration): boolean {
  const { enabled, wait_for_result: waits } = keysOf(exporters.get(id)!).sending_queue;
  return !enabled || waits;
}
