import { checkSections, readSection, SECTION_NAMES } from "./components.ts";
import type { Sections } from "./components.ts";
import { readProxyEnvironment } from "../core/proxy-environment.ts";
import type { Configuration, FactoryLookup } from "./configuration.ts";
import { expand } from "./expand.ts";
import { describeFound } from "./found.ts";
import type { Located } from "./located.ts";
import { mergeSources } from "./merge.ts";
import type { Erased } from "./merge.ts";
import { sortProblems } from "./problem.ts";
import type { Position, Problem } from "./problem.ts";
import { checkKeys, readBlock, Report } from "./report.ts";
import type { Entries } from "./report.ts";
import { createSchemes, NO_FILES } from "./schemes.ts";
import type { Environment, ReadText } from "./schemes.ts";
import { readService, warnOfUnused } from "./service.ts";
import { signalboxConfig } from "./signalbox.ts";
import { parseYaml } from "./yaml.ts";
import type { SourceFile } from "./yaml.ts";

export interface LoadSettings {
  /** Later files are laid over earlier ones: maps merge, everything else is replaced. At least one. */
  readonly files: readonly SourceFile[];
  readonly env: Environment;
  /** What `${file:PATH}` reads with; default: nothing can be read. */
  readonly readText?: ReadText;
  readonly factories: FactoryLookup;
}

export type LoadResult =
  | { readonly ok: true; readonly configuration: Configuration; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly warnings: readonly Problem[] };

/**
 * From the texts of the files to a checked configuration, or to all that is wrong with them, in file order.
 * Touches the file system through `readText` alone, and never the process's environment. Never throws on any input.
 */
export function loadConfiguration(settings: LoadSettings): LoadResult {
  const report = new Report();
  const root = readTree(settings, report);
  const configuration = root === undefined ? undefined : readConfiguration(root, settings, report);
  const fileNames = settings.files.map((file) => file.name);
  const warnings = sortProblems(report.warnings, fileNames);
  if (configuration === undefined || report.problems.length > 0) {
    return { ok: false, problems: sortProblems(report.problems, fileNames), warnings };
  }
  return { ok: true, configuration, warnings };
}

/** What a tree is read from. */
export type TreeSettings = Pick<LoadSettings, "files" | "env" | "readText">;

/** Parses, merges, and puts in the variables. Absent where the YAML is broken or empty: nothing more can be said then. */
export function readTree(settings: TreeSettings, report: Report): Located | undefined {
  const { files } = settings;
  const parsed = files.map((file) => parseYaml(file));
  for (const { problems } of parsed) report.add({ problems });
  const roots = parsed.flatMap(({ root }) => (root === undefined ? [] : [root]));
  if (roots.length < files.length && report.problems.length > 0) return undefined;
  const { root, erased } = mergeSources(roots);
  for (const place of erased) warnOfErased(place, report);
  if (root === undefined) {
    report.problem(
      startOf(files),
      [],
      "empty configuration file",
      "write at least receivers, exporters and service.pipelines",
    );
    return undefined;
  }
  const expanded = expand(root, createSchemes({ env: settings.env, readText: settings.readText ?? NO_FILES }));
  report.add(expanded);
  return expanded.root;
}

function warnOfErased({ position, path }: Erased, report: Report): void {
  const message = "stands without a value, which takes away what earlier files have under it";
  report.warning(position, path, message, "write {} to change nothing, or leave the key out");
}

function startOf(files: readonly SourceFile[]): Position {
  return { file: files[0]?.name ?? "configuration", line: 1, column: 1 };
}

const SECTIONS = [...Object.values(SECTION_NAMES), "service", "signalbox"];

function readConfiguration(root: Located, settings: LoadSettings, report: Report): Configuration | undefined {
  if (root.kind !== "map") {
    report.problem(
      root.position,
      [],
      `found ${describeFound(root)}, expected a map of sections`,
      `the sections are ${SECTIONS.join(", ")}`,
    );
    return undefined;
  }
  const sections = readSections(root.entries, startOf(settings.files), settings.factories, report);
  return { ...sections, proxy: readProxyEnvironment(settings.env) };
}

function readSections(
  entries: Entries,
  start: Position,
  factories: FactoryLookup,
  report: Report,
): Omit<Configuration, "proxy"> {
  checkKeys(entries, SECTIONS, [], report);
  const sections: Sections = {
    receiver: readSection("receiver", entries, factories, report),
    processor: readSection("processor", entries, factories, report),
    exporter: readSection("exporter", entries, factories, report),
    connector: readSection("connector", entries, factories, report),
    extension: readSection("extension", entries, factories, report),
  };
  checkSections(entries, sections, start, report);
  const { pipelines, ...service } = readService(entries.get("service"), sections, start, report);
  const signalbox = readBlock(signalboxConfig, entries.get("signalbox"), ["signalbox"], report);
  // While something is wrong it may be the reference that is: the warning would only distract.
  if (report.problems.length === 0) warnOfUnused(sections, report);
  return {
    receivers: sections.receiver.components,
    processors: sections.processor.components,
    exporters: sections.exporter.components,
    connectors: sections.connector.components,
    extensions: sections.extension.components,
    pipelines,
    service,
    signalbox,
  };
}
