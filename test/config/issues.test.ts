import { describe, expect, it } from "vitest";
import { z } from "zod";
import { formatProblems } from "../../src/config/problem.ts";
import { block, defaultBlock, optionalBlock, withFix } from "../../src/config/types.ts";
import { validate } from "../../src/config/validate.ts";
import { parseYaml } from "../../src/config/yaml.ts";

/** Lines below the place: what a component author gets from plain zod, without a word of his own. */
function answerTo(schema: z.ZodType, yaml: string): string {
  const { root, problems } = parseYaml({ name: "x.yaml", text: yaml });
  if (root === undefined) throw new Error(formatProblems(problems));
  const validated = validate({
    schema,
    root,
    position: { file: "x.yaml", line: 1, column: 1 },
    path: ["exporters", "x"],
  });
  return validated.problems.length === 0
    ? `ok ${JSON.stringify(validated.value)}`
    : formatProblems(validated.problems).replace(/^x\.yaml:\d+:\d+ {2}/gm, "");
}

const TEXT = 'write text, such as "abc"';

describe("a zod issue in the operator's words", () => {
  it.each<[string, z.ZodType, string, string[]]>([
    ["a number", z.number(), "abc", ['found "abc" (string), expected a number', "write a number"]],
    ["a list", z.array(z.string()), "5", ["found 5 (number), expected a list", "write it as a list: [5]"]],
    [
      "a short list",
      z.array(z.string()).min(2),
      "[a]",
      ["found a list, expected at least 2 entries", "write a list: [...]"],
    ],
    ["a long text", z.string().max(3), "abcd", ['found "abcd" (string), expected at most 3 characters', TEXT]],
    ["an empty text", z.string().min(1), '""', ['requires a non-empty "key"', TEXT]],
    [
      "a bound",
      z.number().gt(0).lt(1),
      "0",
      ["found 0 (number), expected more than 0", "write a number, above 0 and below 1"],
    ],
    [
      "another bound",
      z.number().gt(0).lt(1),
      "1",
      ["found 1 (number), expected less than 1", "write a number, above 0 and below 1"],
    ],
    [
      "a huge number",
      z.int(),
      "1e300",
      ["found 1e+300 (number), expected a whole number below 2^53", "write a whole number"],
    ],
    ["infinity", z.number(), ".inf", ["found Infinity (number), expected a number", "write a number"]],
    [
      "a multiple",
      z.number().multipleOf(8),
      "12",
      ["found 12 (number), expected a multiple of 8", "write a whole number"],
    ],
    ["a pattern", z.string().regex(/^[a-z]+$/), "A1", ['found "A1" (string), expected a match of /^[a-z]+$/', TEXT]],
    [
      "a format",
      z.uuid(),
      "x",
      [expect.stringContaining('found "x" (string), expected a'), "write another value, or leave it out"],
    ],
    ["one literal", z.literal("on"), "of", ['found "of" (string), expected "on"', 'did you mean "on"?']],
    [
      "an enum",
      z.enum(["grpc", "http"]),
      "htpp",
      ['found "htpp" (string), expected one of "grpc", "http"', 'did you mean "http"?'],
    ],
    ["a wrong bool", z.boolean(), "off", ['found "off" (string), expected true or false', "write false"]],
    [
      "one of two types",
      z.union([z.string(), z.number()]),
      "true",
      ["found true (boolean), expected a string or a number", `${TEXT}, or a number`],
    ],
    [
      "one of two shapes",
      z.union([z.string(), block({ path: z.string() })]),
      "{pth: x}",
      ['has the unknown key "pth"', 'did you mean "path"?'],
    ],
    [
      "a tuple",
      z.tuple([z.string(), z.number()]),
      "x",
      ['found "x" (string), expected a list', "write it as a list: [x]"],
    ],
    [
      "a map",
      z.record(z.string(), z.string()),
      "[]",
      ["found a list, expected a map", "write a map of names to values"],
    ],
    [
      "a hint of one's own",
      withFix(z.int().max(9), "write 9 or less"),
      "10",
      ["found 10 (number), expected at most 9", "write 9 or less"],
    ],
    [
      "a hint under wrappers",
      withFix(z.int().max(9), "write 9 or less").default(1).optional(),
      "10",
      ["found 10 (number), expected at most 9", "write 9 or less"],
    ],
    [
      "a date",
      z.date(),
      "2001-01-01",
      ['found "2001-01-01" (string), expected a date', "write another value, or leave it out"],
    ],
    [
      "a nested block",
      block({ inner: z.string() }),
      "{inner: 1}",
      ["found 1 (number), expected a string", 'write "1"'],
    ],
    [
      "a long text, cut",
      z.number(),
      "x".repeat(500),
      [expect.stringMatching(/^found "x{77}\.\.\." \(string\), expected a number$/), "write a number"],
    ],
  ])("%s", (_, schema, yaml, lines) => {
    const [, ...said] = answerTo(block({ key: schema }), `key: ${yaml}`).split("\n");
    expect(said.map((line) => line.trim())).toEqual(lines);
  });

  it("names the key in a record, the index in a list, and the path through both", () => {
    const schema = block({ rules: z.array(block({ by: z.record(z.string(), z.number()) })) });
    expect(answerTo(schema, 'rules: [{by: {a: 1}}, {by: {"x.y": b}}]')).toMatch(
      /^exporters\.x\.rules\[1\]\.by\["x\.y"\]\n/,
    );
  });
});

describe("what the loader mends before a schema sees it", () => {
  const schema = block({
    a: z.string().default("a"),
    b: defaultBlock({ c: z.int().default(3) }),
    d: optionalBlock(block({ e: z.string().default("e") })),
    f: z.null().optional(),
    g: z.union([z.string(), z.number()]).default(7),
  });

  it("takes a key without a value for absent, but where the schema has a use for null", () => {
    expect(answerTo(schema, "a:\nb:\nd:\nf:\ng:")).toBe('ok {"a":"a","b":{"c":3},"d":{"e":"e"},"f":null,"g":7}');
    expect(answerTo(schema, "b: {c: }")).toBe('ok {"a":"a","b":{"c":3},"g":7}');
  });

  it("finds what an unknown key would hide", () => {
    const crossed = block({ min: z.int(), max: z.int() }).refine(
      ({ min, max }) => min <= max,
      "min must not exceed max",
    );
    const said = answerTo(crossed, "min: 2\nmax: 1\nother: 3");
    expect(said).toContain('has the unknown key "other"');
    expect(said).toContain("min must not exceed max");
  });

  it("does not call a key missing that was only mistyped", () => {
    expect(answerTo(block({ endpoint: z.string() }), "endpont: x")).not.toContain("requires");
    expect(answerTo(block({ endpoint: z.string() }), "colour: x")).toContain('requires a non-empty "endpoint"');
  });

  it("gives up after a bounded number of passes", () => {
    const stubborn = z
      .any()
      .superRefine((_, context) => context.addIssue({ code: "unrecognized_keys", keys: ["a"], input: {} }));
    expect(answerTo(stubborn, "a: 1").split('has the unknown key "a"').length).toBeLessThan(20);
  });
});
