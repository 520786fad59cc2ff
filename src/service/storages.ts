import type { Configuration } from "../config/configuration.ts";
import type { Problem } from "../config/problem.ts";
import { keysOf } from "./destinations.ts";

/** The extension that the sending queues lie in; undefined for memory. checkStorages() has found no problem. */
export function storageOf(configuration: Configuration): string | undefined {
  return namedStorages(configuration)[0]?.storage;
}

/** Headers that partitions are made by: the only ones of a sender that a storage may write. */
export function partitionHeaders({ exporters }: Configuration): string[] {
  const names = [...exporters.values()].flatMap(
    (exporter) => keysOf(exporter).sending_queue.batch?.metadata_keys ?? [],
  );
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

/** What `sending_queue.storage` names must exist, be listed and be one. */
export function checkStorages(configuration: Configuration): Problem[] {
  const named = namedStorages(configuration);
  return named.flatMap(({ exporter, storage }) => {
    const problem = problemOf(storage, named[0]!.storage, configuration);
    if (problem === undefined) return [];
    const position = configuration.exporters.get(exporter)!.positionOf(["sending_queue", "storage"]);
    return [{ position, path: `exporters.${exporter}.sending_queue.storage`, ...problem }];
  });
}

interface NamedStorage {
  readonly exporter: string;
  readonly storage: string;
}

function namedStorages({ exporters }: Configuration): NamedStorage[] {
  return [...exporters].flatMap(([id, exporter]) => {
    const { enabled, storage } = keysOf(exporter).sending_queue;
    return enabled && storage !== null ? [{ exporter: id, storage }] : [];
  });
}

function problemOf(
  storage: string,
  first: string,
  { extensions, service }: Configuration,
): Pick<Problem, "message" | "fix"> | undefined {
  const extension = extensions.get(storage);
  if (extension === undefined) {
    return {
      message: `references extension "${storage}" which is not configured`,
      fix: `add ${storage}: under extensions`,
    };
  }
  if (extension.factory.type !== "file_storage") {
    return { message: `references extension "${storage}", which is not a storage`, fix: "name a file_storage" };
  }
  if (!service.extensions.includes(storage)) {
    return {
      message: `references extension "${storage}", which is not started`,
      fix: `add ${storage} to service.extensions`,
    };
  }
  if (storage !== first) {
    const message = `references extension "${storage}" beside "${first}": one gateway has one storage, so that an admission is one decision on disk too`;
    return { message, fix: `write ${first}` };
  }
  return undefined;
}
