import { SECTION_NAMES } from "./components.ts";
import type { Sections } from "./components.ts";
import type { ConfiguredPipeline, ConfiguredService } from "./configuration.ts";
import { isNull } from "./located.ts";
import type { LocatedEntry } from "./located.ts";
import { PIPELINES_PATH, readPipelines } from "./pipelines.ts";
import { quote } from "./problem.ts";
import type { Position } from "./problem.ts";
import { readReferences, resolveReference } from "./references.ts";
import { checkKeys, mapEntries, readBlock } from "./report.ts";
import type { Report } from "./report.ts";
import { telemetryConfig } from "./telemetry.ts";

const SERVICE_KEYS = ["extensions", "pipelines", "telemetry"];

export interface ReadService extends ConfiguredService {
  readonly pipelines: ReadonlyMap<string, ConfiguredPipeline>;
}

/** Reads `service`; `start` is where it would stand when it is absent. */
export function readService(
  entry: LocatedEntry | undefined,
  sections: Sections,
  start: Position,
  report: Report,
): ReadService {
  const entries = new Map(mapEntries(entry, ["service"], report));
  checkKeys(entries, SERVICE_KEYS, ["service"], report);
  const pipelinesEntry = entries.get("pipelines");
  const declared = [...mapEntries(pipelinesEntry, PIPELINES_PATH, report)];
  const pipelines = readPipelines(declared, sections, report);
  if (
    declared.length === 0 &&
    [entry, pipelinesEntry].every((present) => present === undefined || isMapOrNull(present))
  ) {
    const position = pipelinesEntry?.keyPosition ?? entry?.keyPosition ?? start;
    report.problem(
      position,
      PIPELINES_PATH,
      "service must have at least one pipeline",
      "write one, such as logs: { receivers: [...], exporters: [...] }",
    );
  }
  return {
    pipelines,
    extensions: readExtensions(entries.get("extensions"), sections, report),
    telemetry: readBlock(telemetryConfig, entries.get("telemetry"), ["service", "telemetry"], report),
    telemetryPosition: entries.get("telemetry")?.keyPosition ?? start,
  };
}

function isMapOrNull({ node }: LocatedEntry): boolean {
  return node.kind === "map" || isNull(node);
}

function readExtensions(entry: LocatedEntry | undefined, sections: Sections, report: Report): string[] {
  const ids = new Set<string>();
  for (const reference of readReferences(entry, ["service", "extensions"], report)) {
    const { id, shown, position, path } = reference;
    if (!ids.has(id)) resolveReference(["extension"], reference, sections, report);
    else
      report.warning(position, path, `references extension ${shown} multiple times; it is used once`, "leave one out");
    ids.add(id);
  }
  return [...ids];
}

/** The Collector says nothing of these, and then someone waits for data that never comes. */
export function warnOfUnused(sections: Sections, report: Report): void {
  for (const { kind, declared, used } of Object.values(sections)) {
    const [where, list] =
      kind === "extension" ? ["service.extensions", "service.extensions"] : ["any pipeline", "a pipeline"];
    for (const [id, { keyPosition }] of declared) {
      if (used.has(id)) continue;
      const message = `${kind} ${quote(id)} is configured but not used in ${where}`;
      report.warning(keyPosition, [SECTION_NAMES[kind], id], message, `add it to ${list}, or remove it`);
    }
  }
}
