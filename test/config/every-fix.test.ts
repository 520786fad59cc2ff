import { describe, expect, it } from "vitest";
import type { z } from "zod";
import type { Path, Problem } from "../../src/config/problem.ts";
import { formatPath, formatProblems } from "../../src/config/problem.ts";
import { layersOf, settingsOf } from "../../src/config/schema-walk.ts";
import { signalboxConfig } from "../../src/config/signalbox.ts";
import { telemetryConfig } from "../../src/config/telemetry.ts";
import { validate } from "../../src/config/validate.ts";
import { parseYaml } from "../../src/config/yaml.ts";
import { loadFactories } from "../../src/service/factories.ts";

const { factories } = await loadFactories([]);
const SCHEMAS: readonly (readonly [string, z.ZodType])[] = [
  ...factories.map(({ kind, type, config }) => [`${kind} ${type}`, config] as const),
  ["service.telemetry", telemetryConfig],
  ["signalbox", signalboxConfig],
];

const WRONG: readonly unknown[] = [
  -4,
  0,
  1,
  1e300,
  0.5,
  true,
  "",
  "loud",
  "-1s",
  "0s",
  [1],
  [],
  { x: 1 },
  [{}],
  [null],
];

/** The value, at its place in blocks, lists and maps. */
function wrapped(path: Path, value: unknown): unknown {
  return path.toReversed().reduce((inner: unknown, segment) => {
    if (segment === "<name>") return { a: inner };
    const key = String(segment);
    return key.endsWith("[]") ? { [key.slice(0, -2)]: [inner] } : { [key]: inner };
  }, value);
}

function problemsIn(schema: z.ZodType, value: unknown): readonly Problem[] {
  const { root, problems } = parseYaml({ name: "x.yaml", text: JSON.stringify(value) });
  if (root === undefined) throw new Error(formatProblems(problems));
  return validate({ schema, root, position: { file: "x.yaml", line: 1, column: 1 }, path: ["x"] }).problems;
}

// What is not there, or is a list or map as a whole, is shown by its name.
const SAYS_WHAT = /found |requires a non-empty|unknown key|holds an unknown key/;

describe("every problem of every built-in schema", () => {
  it.each(SCHEMAS)("of %s tells what was found, what was expected and how to mend it", (_, schema) => {
    for (const { path } of settingsOf(schema)) {
      for (const value of WRONG) {
        for (const problem of problemsIn(schema, wrapped(path, value))) {
          const where = `${formatPath(path)}: ${JSON.stringify(value)} -> ${formatProblems([problem])}`;
          expect(problem.fix, where).toMatch(/\w{3}/);
          const isScalar = !(typeof value === "object");
          if (isScalar && problem.path === formatPath(["x", ...path]))
            expect(problem.message, where).toMatch(SAYS_WHAT);
        }
      }
    }
  });

  it("knows the built-in schemas", () => {
    expect(SCHEMAS.length).toBeGreaterThan(10);
    expect(SCHEMAS.every(([, schema]) => layersOf(schema).length > 0)).toBe(true);
  });

  it.each<[string, string, unknown, string[]]>([
    [
      "exporter otlp_grpc",
      "sending_queue",
      { queue_size: -4 },
      ["`queue_size` must be positive, found -4 (number)", "at least 1"],
    ],
    [
      "exporter otlp_grpc",
      "sending_queue",
      { num_consumers: 0 },
      ["must be positive, found 0 (number)", "from 1 to 10000"],
    ],
    ["exporter otlp_grpc", "sending_queue", { num_consumers: 1_000_000_000 }, ["expected at most 10000"]],
    [
      "exporter otlp_grpc",
      "sending_queue",
      { block_on_overflow: 1 },
      ["expected true or false", "write true or false"],
    ],
    [
      "exporter otlp_grpc",
      "retry_on_failure",
      { multiplier: 0 },
      ["expected at least 1", "write a number, at least 1"],
    ],
    [
      "exporter otlp_grpc",
      "retry_on_failure",
      { randomization_factor: 3 },
      ["write a number, at least 0 and at most 1"],
    ],
    ["exporter otlp_grpc", "timeout", "-1s", ["expected a duration that is not negative", "without the minus"]],
    ["exporter local_store", "directory", "", ["requires a non-empty", 'write text, such as ".signalbox"']],
    ["service.telemetry", "logs", { level: "loud" }, ['found "loud"', 'write one of "debug", "info", "warn", "error"']],
    ["processor worker_identity", "machine_id", [1], ["expected a string", "write text"]],
    ["processor worker_identity", "instance_id", "replace", ['did you mean "replace_generated"?']],
  ])("%s, %s: %j", (name, key, value, parts) => {
    const schema = SCHEMAS.find(([of]) => of === name)![1];
    const said = formatProblems(problemsIn(schema, { endpoint: "h:1", [key]: value }));
    for (const part of parts) expect(said).toContain(part);
  });
});
