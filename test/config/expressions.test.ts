import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { factoryLookup } from "../../src/config/configuration.ts";
import { EXPANSIONS_MAX, VALUE_LENGTH_MAX } from "../../src/config/expand.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import type { LoadResult } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { Secret } from "../../src/config/secret.ts";
import { block, byteSize, duration, endpoint, refuse, secret, secretMap } from "../../src/config/types.ts";
import type { ExporterFactory, ReceiverFactory } from "../../src/core/component.ts";
import { SIGNALS } from "../../src/core/signal.ts";
import { fuzz } from "../support/fuzz.ts";

const fields = block({
  text: z.string().optional(),
  words: z.array(z.string()).optional(),
  word: z.enum(["1", "gzip"]).optional(),
  number: z.number().optional(),
  bool: z.boolean().optional(),
  map: z.record(z.string(), z.string()).optional(),
  either: z.union([z.string(), z.array(z.string())]).optional(),
  any: z.unknown().optional(),
  quoting: z
    .string()
    .superRefine((text, context) => refuse(context, { message: `"${text}" is too quiet`, fix: `write "${text}!"` }))
    .optional(),
  timeout: duration({ default: "5s" }),
  size: byteSize().optional(),
  endpoint: endpoint({ default: "localhost:1" }),
  token: secret().optional(),
  headers: secretMap(),
});

function neverCreated(): never {
  throw new Error("loading a configuration must not create components");
}

const source: ReceiverFactory = {
  kind: "receiver",
  type: "source",
  config: block({}),
  signals: SIGNALS,
  create: neverCreated,
};
const target: ExporterFactory = {
  kind: "exporter",
  type: "target",
  config: fields,
  signals: SIGNALS,
  delivery: "required",
  create: neverCreated,
};

function load(body: string, env: Record<string, string>): LoadResult {
  const text = `receivers: {source: }\nexporters:\n  target:\n    ${body}\nservice: {pipelines: {logs: {receivers: [source], exporters: [target]}}}\n`;
  return loadConfiguration({ files: [{ name: "test.yaml", text }], env, factories: factoryLookup([source, target]) });
}

/** The validated value of one field, secrets revealed. */
function valueOf(key: string, written: string, env: Record<string, string> = {}): unknown {
  const result = load(`${key}: ${written}`, env);
  if (!result.ok) throw new Error(formatProblems(result.problems));
  const config = result.configuration.exporters.get("target")?.config as Record<string, unknown>;
  return reveal(config[key]);
}

function reveal(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal();
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, reveal(inner)]));
}

function problemsOf(key: string, written: string, env: Record<string, string> = {}): string {
  const result = load(`${key}: ${written}`, env);
  return result.ok ? "ok" : formatProblems(result.problems);
}

describe("a value that is one expression", () => {
  const env = {
    NUMBER: "12",
    OCTAL: "012",
    FLAG: "true",
    TEXT: "abc",
    LIST: "[a, b]",
    MAP: "a: x\nb: ${TEXT}",
    NULL: "null",
    HASH: "#abc",
  };

  it.each<[string, string, unknown]>([
    ["number", "${env:NUMBER}", 12],
    ["number", '"${env:NUMBER}"', 12],
    ["number", "${NUMBER}", 12],
    ["bool", "${env:FLAG}", true],
    ["any", "${env:NUMBER}", 12],
    ["any", "${env:LIST}", ["a", "b"]],
    ["any", "${env:NULL}", null],
    ["words", "${env:LIST}", ["a", "b"]],
    ["map", "${env:MAP}", { a: "x", b: "abc" }],
    ["size", "${env:NUMBER}", 12],
    ["timeout", "${env:MISSING:-7s}", 7_000],
    ["number", "${MISSING:-7}", 7],
    ["number", "${env:MISSING:-${env:NUMBER}}", 12],
    ["text", "${env:${env:WHICH:-TEXT}}", "abc"],
  ])("takes the type of what it stands for: %s: %s", (key, written, expected) => {
    expect(valueOf(key, written, env)).toEqual(expected);
  });

  it.each<[string, string, unknown]>([
    ["text", "${env:NUMBER}", "12"],
    ["text", "${env:OCTAL}", "012"],
    ["text", "${env:FLAG}", "true"],
    ["text", "${env:LIST}", "[a, b]"],
    ["text", "${env:HASH}", "#abc"],
    ["word", "${env:MISSING:-1}", "1"],
    ["words", "[x, '${env:OCTAL}']", ["x", "012"]],
    ["map", "{a: '${env:OCTAL}'}", { a: "012" }],
    ["either", "${env:OCTAL}", "012"],
    ["either", "${env:LIST}", ["a", "b"]],
    ["token", "${env:OCTAL}", "012"],
    ["token", "${env:MAP}", "a: x\nb: ${TEXT}"],
    ["headers", "{Authorization: '${env:OCTAL}'}", { Authorization: "012" }],
    ["headers", "[{name: Authorization, value: '${env:OCTAL}'}]", { Authorization: "012" }],
    ["headers", "{Authorization: '${env:NOT_SET}'}", { Authorization: "" }],
    ["words", "['${env:NOT_SET}']", [""]],
  ])("is the text as written where a text is wanted: %s: %s", (key, written, expected) => {
    expect(valueOf(key, written, env)).toEqual(expected);
  });

  it("is not made a number where the file itself has a quoted one", () => {
    expect(problemsOf("number", '"12"')).toContain("write 12 without quotes");
  });
});

describe("a value that holds expressions among other text", () => {
  it.each<[string, string]>([
    ["x${env:A}y", "x012y"],
    ["${env:A}${env:A}", "012012"],
    ["${env:A}:${B}", "012:x012"],
    ["$$", "$"],
    ["$$$$", "$$"],
    ["$${env:A}", "${env:A}"],
    ["$$${env:A}", "$012"],
    ["$A $5 $", "$A $5 $"],
    ["a${env:MISSING:-}b", "ab"],
    ["a${env:EMPTY:-default}b", "ab"],
    ["a${env:MISSING:-x$$y}b", "ax$yb"],
    ["a${env:MISSING:-${env:DOLLARS}}b", "a$xb"],
    ["${env:MISSING:-a:-b}", "a:-b"],
    ["^abc$", "^abc$"],
  ])("inlines the text as written: %s", (written, expected) => {
    const env = { A: "012", B: "x${A}", EMPTY: "", DOLLARS: "$$x" };
    expect(valueOf("text", JSON.stringify(written), env)).toBe(expected);
  });

  it("takes a dollar and a brace in a variable's value for what they are where they are no expression", () => {
    expect(valueOf("text", "${env:A}", { A: "p${w" })).toBe("p${w");
  });

  it("leaves a text alone that came from a variable through any template", () => {
    const plain = fc.string().filter((text) => !text.includes("$"));
    fc.assert(
      fc.property(plain, plain, (first, second) => {
        expect(valueOf("text", '"<${env:A}|${env:B}>"', { A: first, B: second })).toBe(`<${first}|${second}>`);
      }),
      fuzz(),
    );
  });
});

describe("a variable that is not set", () => {
  it("counts as an absent key, with a warning that names it and its place", () => {
    expect(valueOf("endpoint", "${env:ENDPOINT}")).toBe("localhost:1");
    const result = load("endpoint: ${env:ENDPOINT}", {});
    expect(formatProblems(result.warnings)).toBe(
      [
        "test.yaml:4:15  exporters.target.endpoint",
        "  references unset environment variable ${env:ENDPOINT}; it stands for nothing",
        "  set it, or write a default: ${env:ENDPOINT:-default}",
      ].join("\n"),
    );
  });

  it("gives no warning where a default takes its place, or is not needed", () => {
    expect(load("text: ${env:A:-x}", {}).warnings).toEqual([]);
    expect(load("text: ${env:A:-${env:B}}", { A: "x" }).warnings).toEqual([]);
  });

  it("is not looked up in what every object has", () => {
    expect(problemsOf("endpoint", "x${env:constructor}")).toContain(
      'found "x${env:constructor}", where ${env:constructor} is not set, or empty',
    );
  });
});

describe("the bounds of expressions", () => {
  it(`takes ${EXPANSIONS_MAX} expressions in one value and refuses one more`, () => {
    expect(valueOf("text", "${A}".repeat(EXPANSIONS_MAX), { A: "x" })).toBe("x".repeat(EXPANSIONS_MAX));
    expect(problemsOf("text", "${A}".repeat(EXPANSIONS_MAX + 1), { A: "x" })).toContain(
      `more than ${EXPANSIONS_MAX} expressions`,
    );
  });

  it("refuses variables that multiply, and those that refer to each other in a circle", () => {
    const doubling = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`V${index}`, `\${V${index + 1}}\${V${index + 1}}`]),
    );
    expect(problemsOf("text", "${V0}", doubling)).toContain("expressions in one value");
    expect(problemsOf("text", "a${A}", { A: "${B}", B: "${A}" })).toContain("in a circle");
    expect(problemsOf("any", "${A}", { A: "[1, '${A}']" })).toContain("in a circle");
  });

  it("refuses values that are longer in sum than any configuration is", () => {
    expect(problemsOf("text", '"${A}${A}"', { A: "x".repeat(VALUE_LENGTH_MAX / 2 + 1) })).toContain(
      "characters in sum",
    );
    expect(valueOf("text", '"${A}"', { A: "x".repeat(VALUE_LENGTH_MAX) })).toHaveLength(VALUE_LENGTH_MAX);
  });

  it("refuses expressions that are nested deeper than anyone writes", () => {
    expect(problemsOf("text", `"${"${A:-".repeat(1_000)}${"}".repeat(1_000)}"`)).toContain("nested too deeply");
  });

  it("takes an alias bomb in a variable for a text", () => {
    const levels = Array.from(
      { length: 8 },
      (_, index) => `&a${index + 1} [${Array(10).fill(`*a${index}`).join(", ")}]`,
    );
    const bomb = `[&a0 x, ${levels.join(", ")}]`;
    expect(valueOf("text", "${A}", { A: bomb })).toBe(bomb);
  });
});

describe("what came from a variable", () => {
  it("is in no message, whatever it is and whichever field it was meant for", () => {
    const keys = [
      "quoting",
      "text",
      "words",
      "word",
      "number",
      "bool",
      "map",
      "either",
      "timeout",
      "size",
      "endpoint",
      "token",
      "headers",
      "unknown",
    ];
    const secretText = fc
      .stringMatching(/^[a-z0-9]{10,20}$/)
      .filter((text) => /[a-z]/.test(text) && /[0-9]/.test(text));
    const wrap = fc.constantFrom(
      (x: string) => x,
      (x: string) => `[${x}]`,
      (x: string) => `${x}: ${x}`,
      (x: string) => `\${${x}}`,
      (x: string) => `\${${x}:y}`,
      (x: string) => `x\${env:${x}-}`,
      (x: string) => `{a: {${x}: [${x}]}}`,
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...keys),
        secretText,
        wrap,
        fc.constantFrom("${env:S}", '"x ${env:S} y"', "[ '${env:S}' ]", "{a: '${env:S}'}"),
        (key, text, form, written) => {
          const result = load(`${key}: ${written}`, { S: form(text) });
          const said = formatProblems([...(result.ok ? [] : result.problems), ...result.warnings]);
          expect(said).not.toContain(text);
        },
      ),
      fuzz(1_000),
    );
  });
});
