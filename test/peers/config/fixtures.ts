import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { Case } from "./judge.ts";
import type { ModuleCache } from "./module-cache.ts";

/** The configurations that the Collector's own tests use, each made a whole configuration of types that both sides have. */
export interface Fixtures {
  readonly cases: readonly Case[];
  /** What cannot be asked of both, and why. */
  readonly skipped: readonly string[];
  /** Modules that the cache lacks. */
  readonly missing: readonly string[];
}

type Json = Record<string, unknown>;

/** Makes whole configurations of one file: by name where it has several, under "" where it has one. A text says why there are none. */
type Reader = (file: string, content: unknown) => Readonly<Record<string, object>> | string;

function whole(sections: object, pipeline: object = {}, service: object = {}): object {
  const logs = { receivers: ["otlp"], exporters: ["debug"], ...pipeline };
  const receivers = { otlp: { protocols: { grpc: null } } };
  return { receivers, exporters: { debug: null }, ...sections, service: { ...service, pipelines: { logs } } };
}

const receiver = (body: unknown): object => whole({ receivers: { otlp: body } });
const exporter =
  (type: string) =>
  (body: unknown): object =>
    whole({ exporters: { [type]: body } }, { exporters: [type] });
const processor =
  (type: string) =>
  (body: unknown): object =>
    whole({ processors: { [type]: body } }, { processors: [type] });

/** Each file is the body of one component. */
const bodies =
  (wrap: (body: unknown) => object): Reader =>
  (_, body) => ({ "": wrap(body) });

const named = (content: unknown, wrap: (body: unknown) => object): Record<string, object> =>
  Object.fromEntries(Object.entries(content as Json).map(([name, body]) => [name, wrap(body)]));

const READERS: readonly { readonly module: string; readonly folder: string; readonly read: Reader }[] = [
  { module: "receiver/otlpreceiver", folder: "testdata", read: bodies(receiver) },
  {
    module: "exporter/otlpexporter",
    folder: "testdata",
    read: (file, content) => {
      const wrap = exporter("otlp_grpc");
      return file === "invalid_configs.yaml" ? named(content, wrap) : { "": wrap(content) };
    },
  },
  {
    module: "exporter/otlphttpexporter",
    folder: "testdata",
    read: (file, content) =>
      file === "bad_empty_config.yaml" ? wholeConfiguration(content) : { "": exporter("otlp_http")(content) },
  },
  { module: "exporter/debugexporter", folder: "testdata", read: bodies(exporter("debug")) },
  { module: "processor/batchprocessor", folder: "testdata", read: bodies(processor("batch")) },
  { module: "internal/memorylimiter", folder: "testdata", read: bodies(processor("memory_limiter")) },
  {
    module: "exporter/exporterhelper",
    folder: "internal/queuebatch/testdata",
    read: bodies((body) => exporter("otlp_grpc")({ endpoint: "localhost:4317", sending_queue: body })),
  },
  {
    module: "config/confighttp",
    folder: "testdata",
    read: (_, content) => {
      const { client, server } = content as Json;
      return { client: exporter("otlp_http")(client), server: receiver({ protocols: { http: server } }) };
    },
  },
  {
    module: "service",
    folder: "telemetry/otelconftelemetry/testdata",
    read: bodies((body) => whole({}, {}, { telemetry: body })),
  },
  {
    module: "otelcol",
    folder: "testdata",
    read: (file, content) =>
      file.startsWith("components-output") ? "a listing, no configuration" : wholeConfiguration(content),
  },
  { module: "confmap", folder: "testdata", read: (file, content) => confmapFile(file, content) },
  { module: "confmap", folder: "internal/testdata", read: (file, content) => confmapFile(file, content) },
  { module: "confmap/provider/fileprovider", folder: "testdata", read: (_, content) => wholeConfiguration(content) },
];

/** These hold trees for the tests of confmap itself; few are configurations. */
function confmapFile(file: string, content: unknown): ReturnType<Reader> {
  return /^config2?\.yaml$/.test(file)
    ? wholeConfiguration(content)
    : "a tree for confmap's own tests, no configuration";
}

/** What stands in for `nop`, of which we have none. */
const STAND_INS: Readonly<Record<string, readonly [type: string, body: unknown]>> = {
  receivers: ["otlp", { protocols: { grpc: null } }],
  processors: ["batch", null],
  exporters: ["debug", null],
};

/** A type that neither side has makes a case as good as any: both must refuse. */
function wholeConfiguration(content: unknown): ReturnType<Reader> {
  if (typeof content !== "object" || content === null || Array.isArray(content)) return { "": content as object };
  const configuration = content as Json;
  const foreign = ["connectors", "extensions"].filter((section) => section in configuration);
  if (foreign.length > 0) return `has ${foreign.join(" and ")}, of which the two share none`;
  const sections = Object.entries(configuration).map(([section, body]) => [section, withStandIns(section, body)]);
  return { "": Object.fromEntries(sections) as object };
}

function withStandIns(section: string, body: unknown): unknown {
  const standIn = STAND_INS[section];
  if (typeof body !== "object" || body === null) return body;
  if (section === "service") return renamedReferences(body as Json);
  if (standIn === undefined) return body;
  return Object.fromEntries(
    Object.entries(body).map(([id, value]) =>
      /^nop(\/|$)/.test(id) ? [rename(id, standIn[0]), standIn[1]] : [id, value],
    ),
  );
}

const rename = (id: string, type: string): string => id.replace(/^nop(?=\/|$)/, type);

function renamedReferences(service: Json): Json {
  const pipelines = Object.entries((service["pipelines"] ?? {}) as Record<string, Record<string, string[]>>);
  const renamed = pipelines.map(([name, roles]) => [
    name,
    Object.fromEntries(
      Object.entries(roles).map(([role, ids]) => [role, ids.map((id) => rename(id, STAND_INS[role]?.[0] ?? id))]),
    ),
  ]);
  return { ...service, pipelines: Object.fromEntries(renamed) as Json };
}

export function readFixtures(cache: ModuleCache): Fixtures {
  const cases: Case[] = [];
  const skipped: string[] = [];
  const missing: string[] = [];
  for (const { module, folder, read } of READERS) {
    const path = cache.path(module, folder);
    if (path === undefined) {
      missing.push(`${module}/${folder}`);
      continue;
    }
    for (const file of yamlFilesIn(path)) {
      const id = `${module}/${folder}/${file}`;
      const found = read(file, contentOf(join(path, file)));
      if (typeof found === "string") skipped.push(`${id}: ${found}`);
      else
        for (const [name, body] of Object.entries(found)) cases.push(caseOf(name === "" ? id : `${id}#${name}`, body));
    }
  }
  return { cases, skipped, missing };
}

function yamlFilesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .toSorted();
}

/** What is no YAML stays the text that it is. */
function contentOf(path: string): unknown {
  const text = readFileSync(path, "utf8");
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}

/** These name extensions, and of their types the two share none. */
const NAMES_EXTENSIONS = new Set(["auth", "middlewares"]);

function caseOf(id: string, configuration: object): Case {
  const isShared = (key: unknown, value: unknown): unknown => (NAMES_EXTENSIONS.has(String(key)) ? undefined : value);
  const text = typeof configuration === "string" ? configuration : stringify(configuration, isShared);
  return { id, configs: ["config.yaml"], files: { "config.yaml": text } };
}
