import type { Position } from "./problem.ts";
import { readTree, type TreeSettings } from "./load.ts";
import { Report } from "./report.ts";

export interface NamedFolder {
  readonly folder: string;
  readonly position: Position;
}

/**
 * `signalbox.processors` of a configuration that has not been checked: its folders hold component types that the check
 * needs to know. What is wrong here is found again, and reported, by loadConfiguration().
 */
export function readProcessorFolders(settings: TreeSettings): NamedFolder[] {
  const root = readTree(settings, new Report());
  const block = root?.kind === "map" ? root.entries.get("signalbox")?.node : undefined;
  const list = block?.kind === "map" ? block.entries.get("processors")?.node : undefined;
  if (list?.kind !== "list") return [];
  return list.items.flatMap((item) =>
    item.kind === "scalar" && typeof item.value === "string" && item.value !== ""
      ? [{ folder: item.value, position: item.position }]
      : [],
  );
}
