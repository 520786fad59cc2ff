import { Ajv } from "ajv";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { configurationJsonSchema } from "../../src/config/json-schema.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { loadFactories } from "../../src/service/factories.ts";
import { TEST_FACTORIES, TEST_LOOKUP } from "./test-factories.ts";

const COLLECTOR = fileURLToPath(new URL("../../collector/", import.meta.url));
const GOLDEN = fileURLToPath(new URL("../testdata/config/", import.meta.url));

/** The problems that an editor would show, as "path message". */
type Check = (configuration: unknown) => string[];

function compile(schema: object): Check {
  // What is needed is needed only beside no path key (`tls::insecure`): that stands in a branch, away from its properties.
  const ajv = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
  ajv.addVocabulary(["deprecationMessage"]);
  const validate = ajv.compile(schema);
  return (configuration) => {
    validate(configuration);
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
}

const ofYaml = (text: string): unknown => parse(text, { merge: true }) as unknown;

describe("collector/signalbox.schema.json", () => {
  const text = readFileSync(`${COLLECTOR}signalbox.schema.json`, "utf8");
  const check = compile(JSON.parse(text) as object);
  const files = readdirSync(COLLECTOR).filter((name) => name.endsWith(".yaml"));

  it("is what the components' schemas give (npm run docs)", async () => {
    const { factories, problems } = await loadFactories([]);
    expect(problems).toEqual([]);
    expect(JSON.parse(text)).toEqual(configurationJsonSchema(factories));
  });

  it("says nothing twice: what several components have is a definition that all refer to", () => {
    const { definitions } = JSON.parse(text) as { definitions: Record<string, unknown> };
    const shared = Object.keys(definitions).filter((name) => name.startsWith("shared."));
    expect(shared).toEqual(expect.arrayContaining(["shared.tls", "shared.sending_queue", "shared.retry_on_failure"]));
    for (const name of shared) {
      const uses = text.split(`"#/definitions/${name}"`).length - 1;
      expect(uses, name).toBeGreaterThanOrEqual(2);
    }
    expect(text.length).toBeLessThan(150_000);
  });

  it("is looked at beside some files", () => expect(files.length).toBeGreaterThanOrEqual(3));

  it.each(files)("is named by collector/%s, and finds no fault in it", (name) => {
    const yaml = readFileSync(COLLECTOR + name, "utf8");
    expect(yaml).toMatch(/^# yaml-language-server: \$schema=signalbox\.schema\.json$/m);
    expect(check(ofYaml(yaml))).toEqual([]);
  });
});

describe("the JSON Schema of a configuration", () => {
  let check: Check;
  beforeAll(() => (check = compile(configurationJsonSchema(TEST_FACTORIES))));

  const within = (body: string): unknown => ofYaml(`exporters: {otlp_grpc/x: ${body}}`);

  it.each([
    [
      "an expression anywhere",
      '{endpoint: "${env:A}", timeout: "${env:T:-5s}", level: "${L}", tls: "${file:tls.yaml}"}',
    ],
    ["a key without a value", "{endpoint: 'a:1', timeout: , compression: , tls: , sending_queue: {batch: }}"],
    ["headers in both forms", "{endpoint: 'a:1', headers: [{name: A, value: b}]}"],
    ["sizes as numbers and texts", "{endpoint: 'a:1', max_size: 12}"],
    ["an optional block switched off", "{endpoint: 'a:1', sending_queue: {batch: {enabled: false}}}"],
    ["durations as Go writes them", "{endpoint: 'a:1', timeout: 1h2m3.5s}"],
  ])("allows %s", (_, body) => expect(check(within(body))).toEqual([]));

  it.each([
    ["a mistyped key", "{endpoint: 'a:1', timeot: 1s}"],
    ["a wrong enum value", "{endpoint: 'a:1', compression: gzipp}"],
    ["a number as a duration", "{endpoint: 'a:1', timeout: 10}"],
    ["a duration without a unit", "{endpoint: 'a:1', timeout: '10'}"],
    ["a text as a number", "{endpoint: 'a:1', level: six}"],
    ["a number out of range", "{endpoint: 'a:1', level: 10}"],
    ["a size with a wrong unit", "{endpoint: 'a:1', max_size: 4MX}"],
    ["a missing key", "{timeout: 1s}"],
    ["a list for a map", "{endpoint: 'a:1', tls: []}"],
  ])("finds %s", (_, body) => expect(check(within(body))).not.toEqual([]));

  it("knows the sections, the types under them and the signals of pipelines", () => {
    expect(check(ofYaml("exporterss: {}"))).not.toEqual([]);
    expect(check(ofYaml("exporters: {nothing: {}}"))).not.toEqual([]);
    expect(check(ofYaml("service: {pipelines: {events: {}}}"))).not.toEqual([]);
    expect(check(ofYaml("service: {pipelines: {logs/a: {receivers: [otlp], exporters: ['${env:E}']}}}"))).toEqual([]);
    expect(check(ofYaml("processors::batch::timeout: 2s"))).toEqual([]);
  });

  it("takes a type by its deprecated name, and marks it", () => {
    expect(check(ofYaml("exporters: {otlp/old: {endpoint: 'a:1'}}"))).toEqual([]);
    expect(JSON.stringify(configurationJsonSchema(TEST_FACTORIES))).toContain(
      'alias is deprecated; use \\"otlp_grpc\\"',
    );
  });

  it("finds no fault in a file that the validator accepts", () => {
    const accepted = readdirSync(GOLDEN)
      .filter((name) => name.endsWith(".yaml"))
      .map((name) => ({ name, text: readFileSync(GOLDEN + name, "utf8") }))
      .filter((file) => loadConfiguration({ files: [file], env: {}, factories: TEST_LOOKUP }).ok);
    expect(accepted.length).toBeGreaterThan(2);
    for (const { name, text } of accepted) expect([name, check(ofYaml(text))]).toEqual([name, []]);
  });
});
