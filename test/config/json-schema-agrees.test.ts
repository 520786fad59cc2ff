import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { factoryLookup } from "../../src/config/configuration.ts";
import { settingsJsonSchema } from "../../src/config/json-schema-values.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { layersOf, settingsOf } from "../../src/config/schema-walk.ts";
import { telemetryConfig } from "../../src/config/telemetry.ts";
import { BUILT_IN_FACTORIES } from "../../src/service/built-in.ts";
import { loadFactories } from "../../src/service/factories.ts";
import { everydayCases } from "../peers/config/everyday.ts";
import { ourVerdict } from "../peers/config/ours.ts";
import { schemaFaults } from "./schema-faults.ts";

/** What `signalbox validate` accepts an editor must not underline. */

const { factories } = await loadFactories([]);
const faults = await schemaFaults();
const lookup = factoryLookup(factories);
const isAccepted = (text: string): boolean =>
  loadConfiguration({ files: [{ name: "x.yaml", text }], env: {}, factories: lookup }).ok;

const ROOT = new URL("../../", import.meta.url);

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.includes("node_modules"))
    .map((name) => `${folder}${name}`);
}

const textOf = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");

/** The blocks of YAML in a text of documentation. */
function yamlBlocks(path: string): { readonly name: string; readonly text: string }[] {
  const blocks = textOf(path).matchAll(/^```ya?ml\n(.*?)^```/gms);
  return Array.from(blocks, ([, text = ""], index) => ({ name: `${path}#${index}`, text }));
}

describe("what the validator accepts the JSON Schema accepts:", () => {
  const everyday = everydayCases().filter((asked) => ourVerdict(asked).isAccepted);
  // What a whole file of YAML text, or two documents, is to an editor is no matter of a schema.
  const texts = everyday.map(({ id, files }) => ({ id, text: files["config.yaml"]! }));

  it("each everyday configuration", () => {
    expect(texts.length).toBeGreaterThan(200);
    const found = texts
      .map(({ id, text }) => [id, faults(text)] as const)
      .filter(([, problems]) => problems.length > 0);
    expect(found).toEqual([]);
  });

  it("each file and each piece of documentation that is a whole configuration", () => {
    const yaml = ["collector/", "examples/", "test/testdata/"].flatMap((folder) => filesBelow(folder, ".yaml"));
    const blocks = ["./", "src/", "examples/", "collector/"].flatMap((folder) =>
      (folder === "./" ? ["README.md", "ARCHITECTURE.md"] : filesBelow(folder, ".md")).flatMap(yamlBlocks),
    );
    const all = [...yaml.map((name) => ({ name, text: textOf(name) })), ...blocks];
    const accepted = all.filter(({ text }) => isAccepted(text));
    expect(accepted.length).toBeGreaterThan(3);
    expect(accepted.map(({ name, text }) => [name, faults(text)])).toEqual(accepted.map(({ name }) => [name, []]));
  });

  const telemetry = [
    "metrics: {readers: [{periodic: {exporter: {otlp: {endpoint: 'http://a:4317'}}}}]}",
    "metrics: {readers: [{periodic: {interval: 60000, timeout: 5s, exporter: {otlp: {endpoint: 'http://a:4317'}}}}]}",
    "metrics: {level: Detailed}",
    "logs: {level: INFO}",
    "logs: {level: Warning, output_paths: stderr}",
    "logs::level: debug",
  ];
  it.each(telemetry)("service.telemetry with %s", (body) => {
    const text = `receivers: {otlp: {protocols::grpc::endpoint: 'localhost:1'}}
exporters: {otlp_grpc: {'tls::insecure': true, 'endpoint': 'a:1', 'timeout': 0}}
service: {telemetry: {${body}}, pipelines: {logs: {receivers: [otlp], exporters: [otlp_grpc]}}}`;
    expect(isAccepted(text)).toBe(true);
    expect(faults(text)).toEqual([]);
  });

  it("keys as paths, also in the place of one that is needed", () => {
    const text = `receivers: {otlp: {protocols: {grpc::endpoint: 'localhost:1'}}}
exporters: {'otlp_grpc/a::endpoint': 'a:1'}
service::pipelines::logs: {receivers: [otlp], exporters: [otlp_grpc/a]}`;
    expect(isAccepted(text)).toBe(true);
    expect(faults(text)).toEqual([]);
  });
});

describe("a key that the JSON Schema calls needed", () => {
  const schemas = [...BUILT_IN_FACTORIES.map(({ config }) => config), telemetryConfig];
  const objects = schemas.flatMap((schema) =>
    [schema, ...settingsOf(schema).map((setting) => setting.schema)].flatMap((inner) =>
      layersOf(inner).filter((layer) => layer instanceof z.ZodObject),
    ),
  );

  it("is one without a default, and every such key is needed", () => {
    expect(objects.length).toBeGreaterThan(30);
    for (const object of objects) {
      const withoutDefault = Object.keys(object.shape).filter(
        (key) => !object.shape[key]!.safeParse(undefined).success,
      );
      expect((settingsJsonSchema(object)["required"] as string[] | undefined) ?? []).toEqual(withoutDefault);
    }
  });

  it("is missed where it is not there, also in a reader", () => {
    const missing = (text: string): string => faults(text).join("\n");
    expect(missing("exporters: {otlp_grpc: {timeout: 5s}}")).toContain("must have required property 'endpoint'");
    expect(missing("service: {telemetry: {metrics: {readers: [{periodic: {}}]}}}")).toContain("'exporter'");
  });
});
