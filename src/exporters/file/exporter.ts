import { formatComponentId } from "../../core/component-id.ts";
import type { Timer } from "../../core/clock.ts";
import type { Exporter, Settings } from "../../core/component.ts";
import { ConsumeError } from "../../core/errors.ts";
import { SENT_WHOLE, type OutgoingRequest, type SendResult } from "../../core/sender.ts";
import { joinSlices } from "../../wire/otlp/payload.ts";
import { DIRECTORY_PERMISSIONS_DEFAULT, type FileConfig } from "./config.ts";
import { describeFileError, errorFromFile } from "./file-errors.ts";
import { groupByResource, pathOf } from "./group-by.ts";
import { OpenFiles } from "./open-files.ts";
import type { OpenFile } from "./output-file.ts";
import { encodeRecord, framingOf, type RecordFormat } from "./record-format.ts";

const FLUSH_MS_DEFAULT = 1000;

interface Part {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Writes batches into a file, or into one for each value of a resource attribute. */
export class FileExporter implements Exporter {
  readonly #settings: Settings;
  readonly #config: FileConfig;
  readonly #format: RecordFormat;
  readonly #openFile: OpenFile | undefined;
  readonly #owner: string;
  #files: OpenFiles | undefined;
  #flushTimer: Timer | undefined;
  #isSyncFailing = false;

  /** `openFile` lets a test's disk fail. */
  constructor(settings: Settings, config: FileConfig, openFile?: OpenFile) {
    this.#settings = settings;
    this.#config = config;
    const { format, compression, compression_params } = config;
    this.#format = { format, compression, level: compression_params.level };
    this.#openFile = openFile;
    this.#owner = `exporters.${formatComponentId(settings.id)}`;
  }

  async start(): Promise<void> {
    const { append, rotation, group_by, path } = this.#config;
    const { clock, logger } = this.#settings;
    const settings = {
      framing: framingOf(this.#format),
      rotation,
      directoryMode: this.#directoryMode(),
      clock,
      logger,
      ...(this.#openFile !== undefined && { openFile: this.#openFile }),
    };
    const countMax = group_by.enabled ? group_by.max_open_files : 1;
    const files = new OpenFiles(countMax, append || rotation !== undefined, settings);
    if (!group_by.enabled) {
      await files
        .use(path)
        .open()
        .catch((error: unknown) => {
          throw new Error(`${this.#owner}: ${describeFileError(error, path)}`, { cause: error });
        });
    }
    this.#files = files;
    this.#armFlush();
  }

  async shutdown(): Promise<void> {
    const files = this.#files;
    this.#files = undefined;
    this.#flushTimer?.cancel();
    if (files !== undefined) this.#reportSync(await files.closeAll());
  }

  async send(request: OutgoingRequest, signal: AbortSignal): Promise<SendResult> {
    const { parts, homelessItems } = this.#partsOf(request);
    for (const { path, bytes } of parts) {
      const record = await this.#encode(request, bytes);
      if (this.#files === undefined) throw new ConsumeError("refused", `${this.#owner}: the exporter is not running`);
      await this.#files
        .use(path)
        .append(record, signal)
        .catch((error: unknown) => {
          throw signal.aborted ? outOfTime(path) : errorFromFile(error, path);
        });
    }
    if (homelessItems === 0) return SENT_WHOLE;
    const message = `their resource has no text in ${this.#config.group_by.resource_attribute} (group_by)`;
    return { rejectedItems: homelessItems, message };
  }

  /** Folders of group_by come and go with the values, so they are always made. */
  #directoryMode(): number | undefined {
    const { create_directory, directory_permissions = DIRECTORY_PERMISSIONS_DEFAULT, group_by } = this.#config;
    return create_directory || group_by.enabled ? directory_permissions : undefined;
  }

  #partsOf({ signal, payload }: OutgoingRequest): { readonly parts: readonly Part[]; readonly homelessItems: number } {
    const { path, group_by } = this.#config;
    if (!group_by.enabled) return { parts: [{ path, bytes: joinSlices(payload) }], homelessItems: 0 };
    const { bySegment, homelessItems } = groupByResource(signal, payload, group_by.resource_attribute);
    return {
      parts: [...bySegment].map(([segment, bytes]) => ({ path: pathOf(path, segment), bytes })),
      homelessItems,
    };
  }

  async #encode({ signal }: OutgoingRequest, bytes: Uint8Array): Promise<Buffer> {
    try {
      return await encodeRecord(signal, bytes, this.#format);
    } catch (error) {
      // Only bytes that no door lets in; every attempt would end so.
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${this.#owner}: the batch cannot be written as ${this.#format.format}: ${reason}`;
      throw new ConsumeError("permanent", message, { cause: error });
    }
  }

  #armFlush(): void {
    const intervalMs = this.#config.flush_interval || FLUSH_MS_DEFAULT;
    this.#flushTimer = this.#settings.clock.after(intervalMs, () => void this.#flush());
  }

  async #flush(): Promise<void> {
    this.#reportSync((await this.#files?.syncAll()) ?? []);
    if (this.#files !== undefined) this.#armFlush();
  }

  /** Once when it begins and once when it is over: it would come back every second. */
  #reportSync([error]: readonly Error[]): void {
    const { logger } = this.#settings;
    if (error !== undefined && !this.#isSyncFailing) {
      logger.error(
        `${this.#owner}: what was written may not survive a crash of the machine: ${error.message}; look at the disk`,
      );
    }
    if (error === undefined && this.#isSyncFailing) logger.info(`${this.#owner}: the disk takes what is written again`);
    this.#isSyncFailing = error !== undefined;
  }
}

function outOfTime(path: string): ConsumeError {
  return new ConsumeError("retryable", `${path}: no time was left to write`);
}
