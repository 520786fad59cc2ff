import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ProcessorProblem } from "../../src/service/processor-problem.ts";

interface Answer {
  readonly types: string[];
  readonly problems: ProcessorProblem[];
  readonly answer?: unknown;
}

const PROBE = fileURLToPath(new URL("load-probe.ts", import.meta.url));
const GOOD = `import { defineProcessor } from "signalbox/sdk";\n`;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "signalbox-loader-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Writes the files into a folder of their own, loads it in a plain Node process, and shows paths from the folder. */
function load(files: Readonly<Record<string, string>>, settings: object = {}): Answer {
  const folder = mkdtempSync(join(root, "case-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return runProbe(folder, { folders: ["processors"], ...settings });
}

function runProbe(folder: string, request: object): Answer {
  const output = execFileSync(process.execPath, [PROBE, JSON.stringify(request)], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  return JSON.parse(output) as Answer;
}

function problemOf(text: string, name = "mine.ts"): ProcessorProblem | undefined {
  const { types, problems } = load({ [`processors/${name}`]: text });
  expect(types).toEqual([]);
  expect(problems).toHaveLength(1);
  return problems[0];
}

describe("a folder of processors", () => {
  it("gives a type for each file, and for each folder with a processor in it", () => {
    const { types, problems } = load({
      "processors/mine.ts": `${GOOD}export const mine = defineProcessor({ type: "mine", logs() {} });`,
      "processors/plain.js": `${GOOD}export default defineProcessor({ type: "plain", traces() {} });`,
      "processors/own/processor.ts": `${GOOD}import { type } from "./type.ts";\nexport const own = defineProcessor({ type, metrics() {}, logs() {} });`,
      "processors/own/type.ts": `export const type: string = "own";`,
    });
    expect(problems).toEqual([]);
    expect(types).toEqual(["mine: logs", "own: metrics logs", "plain: traces"]);
  });

  it("needs no package.json and no node_modules, and takes a commonjs package too", () => {
    const { problems } = load({
      "package.json": `{ "type": "commonjs" }`,
      "processors/mine.ts": `${GOOD}export const mine = defineProcessor({ type: "mine", logs() {} });`,
    });
    expect(problems).toEqual([]);
  });

  it("is read anew at each load, helpers included", () => {
    const files = {
      "processors/own/processor.ts": `${GOOD}import { signal } from "./signal.ts";\nexport const own = defineProcessor({ type: "own", [signal]() {} } as never);`,
      "processors/own/signal.ts": `export const signal: string = "logs";`,
    };
    expect(load(files).types).toEqual(["own: logs"]);
    const edits = { "processors/own/signal.ts": `export const signal: string = "traces";` };
    expect(load(files, { edits }).types).toEqual(["own: traces"]);
  });

  it("looks past tests, declarations, documents and names that begin with _", () => {
    const { types, problems } = load({
      "processors/mine.test.ts": "throw new Error()",
      "processors/mine.d.ts": "export {};",
      "processors/_shared.ts": "throw new Error()",
      "processors/README.md": "#",
      "processors/notes/todo.ts": "throw new Error()",
    });
    expect({ types, problems }).toEqual({ types: [], problems: [] });
  });

  it("follows links, as a mounted folder has them", () => {
    const folder = mkdtempSync(join(root, "links-"));
    mkdirSync(join(folder, "processors"));
    writeFileSync(join(folder, "data.ts"), `${GOOD}export const mine = defineProcessor({ type: "mine", logs() {} });`);
    symlinkSync(join(folder, "data.ts"), join(folder, "processors/mine.ts"));
    expect(runProbe(folder, { folders: ["processors"] }).types).toEqual(["mine: logs"]);
  });

  it("is reported where it does not exist, or is a file", () => {
    const { problems } = load({ file: "" }, { folders: ["nowhere", "file"] });
    expect(problems).toMatchObject([
      {
        file: "nowhere",
        message: expect.stringMatching(/^there is no folder .*nowhere$/),
        fix: expect.stringContaining("--processors"),
      },
      { file: "file", message: expect.stringMatching(/file is a file, not a folder$/) },
    ]);
  });

  it("loads the good files beside the bad ones, and names every bad one", () => {
    const { types, problems } = load({
      "processors/bad.ts": "export const x = ;",
      "processors/good.ts": `${GOOD}export const good = defineProcessor({ type: "good", logs() {} });`,
      "processors/worse.ts": "",
    });
    expect(types).toEqual(["good: logs"]);
    expect(problems.map(({ file }) => file)).toEqual(["processors/bad.ts", "processors/worse.ts"]);
  });
});

describe("a mistake in a processor's file is told with its place and how to mend it:", () => {
  it("a syntax error in TypeScript", () => {
    expect(problemOf("const a = 1;\n\nexport const b = (a +;\n")).toMatchObject({
      file: "processors/mine.ts",
      line: 3,
      column: 22,
      message: "Expression expected",
      fix: "mend the syntax at this place",
    });
  });

  it("a syntax error in JavaScript", () => {
    expect(problemOf("const a = 1;\n\nexport const b = (a +;\n", "mine.js")).toMatchObject({
      line: 3,
      column: 22,
      message: "Unexpected token ';'",
    });
  });

  it("an enum", () => {
    expect(problemOf("\nexport enum Level { Low }\n")).toMatchObject({
      line: 2,
      column: 8,
      message: "TypeScript enum is not supported in strip-only mode",
      fix: expect.stringContaining("as const"),
    });
  });

  it("no export", () => {
    expect(problemOf("const a = 1;")).toMatchObject({
      message: "exports nothing",
      fix: 'write: export const mine = defineProcessor({ type: "mine", logs(batch, ctx) { ... } })',
    });
  });

  it("an export that is no processor", () => {
    expect(problemOf(`export const mine = { type: "mine", logs() {} };`)?.message).toBe(
      "exports mine, but no processor",
    );
  });

  it("two processors in one file, while one under two names is one", () => {
    const two = `${GOOD}export const a = defineProcessor({ type: "mine", logs() {} });\nexport const b = defineProcessor({ type: "other", logs() {} });`;
    expect(problemOf(two)?.message).toBe('exports 2 processors: "mine", "other"');
    const twice = `${GOOD}export const a = defineProcessor({ type: "mine", logs() {} });\nexport default a;`;
    expect(load({ "processors/mine.ts": twice }).problems).toEqual([]);
  });

  it("a type that is not the file's name", () => {
    expect(problemOf(`${GOOD}export const a = defineProcessor({ type: "yours", logs() {} });`)).toMatchObject({
      message: 'defines the type "yours", but is named "mine"',
      fix: 'rename it to yours, or write type: "mine"',
    });
  });

  it("a definition that makes no sense", () => {
    expect(problemOf(`${GOOD}\nexport const a = defineProcessor({ type: "mine", log() {} });`)).toMatchObject({
      line: 3,
      message:
        'TypeError: defineProcessor: "log" is not a key of a processor; the keys are type, config, signals, create, traces, metrics, logs',
    });
  });

  it("an error at import", () => {
    expect(problemOf(`interface A { b: string }\n\nthrow new Error("no such thing");`)).toMatchObject({
      line: 3,
      column: 7,
      message: "Error: no such thing",
      fix: expect.stringContaining("start()"),
    });
  });

  it.each([
    ["process.exit(0);", "exit", 2],
    ["(process as never as { reallyExit(code: number): void }).reallyExit(0);", "reallyExit", 2],
    ["process.abort();", "abort", 2],
    ['process.kill(process.pid, "SIGKILL");', "kill", 2],
    ['import { exit } from "node:process";\nexit(0);', "exit", 3],
    ["await null;\nprocess.exit(0);", "exit", 3],
  ])("%s, which would end the gateway", (code, name, line) => {
    expect(problemOf(`interface A { b: string }\n${code}`)).toMatchObject({
      line,
      message: `ForbiddenExitError: process.${name}() in processors.mine would end the whole gateway; throw an Error instead`,
      fix: expect.stringContaining("take the call away"),
    });
  });

  it("a package that is not there", () => {
    expect(problemOf(`${GOOD}import { x } from "left-pad-9";\nexport const a = x;`)).toMatchObject({
      line: 2,
      message: "cannot find package left-pad-9",
      fix: expect.stringContaining("npm install left-pad-9"),
    });
  });

  it.each(["signalbox", "signalbox/processor"])("%s, where the SDK is meant", (name) => {
    expect(problemOf(`${GOOD}import { x } from "${name}";\nexport const a = x;`)).toMatchObject({
      line: 2,
      message: "cannot find package signalbox",
      fix: 'import from "signalbox/sdk", which the gateway brings along',
    });
  });

  it("a file that is not there", () => {
    expect(problemOf(`${GOOD}import { x } from "./helper";\nexport const a = x;`)).toMatchObject({
      line: 2,
      message: expect.stringMatching(/^cannot find module .*helper$/),
      fix: expect.stringContaining('"./helper.ts"'),
    });
  });

  it("a name that the SDK does not have", () => {
    expect(
      problemOf(`${GOOD}import { defineThing } from "signalbox/sdk";\nexport const a = defineThing;`),
    ).toMatchObject({
      line: 2,
      message: "The requested module 'signalbox/sdk' does not provide an export named 'defineThing'",
      fix: expect.stringContaining("check the name"),
    });
  });

  it("a type that the gateway has itself, or that two files claim", () => {
    const text = `${GOOD}export const a = defineProcessor({ type: "batch", logs() {} });`;
    const clash = load({ "processors/batch.ts": text }, { builtInTypes: ["batch"] });
    expect(clash.problems).toMatchObject([
      { message: '"batch" is a processor of the gateway\'s own', fix: expect.stringContaining('"my_batch"') },
    ]);
    const twice = load({ "processors/batch.ts": text, "more/batch.js": text }, { folders: ["processors", "more"] });
    expect(twice.problems).toMatchObject([
      { file: "more/batch.js", message: 'the type "batch" comes from processors/batch.ts already' },
    ]);
  });
});

describe("processors/README.md", () => {
  it("shows a stateful processor that loads as it stands", () => {
    const readme = readFileSync(new URL("../../processors/README.md", import.meta.url), "utf8");
    const example = /```ts\n(export const everyTenth[^]*?)```/.exec(readme)?.[1];
    expect(load({ "processors/every_tenth.ts": `${GOOD}${example}` })).toEqual({
      types: ["every_tenth: logs"],
      problems: [],
    });
  });
});

describe("a processor that runs", () => {
  it("fails its batch with its file and line when it throws", () => {
    const text = `${GOOD}interface A { b: string }\nexport const a = defineProcessor({ type: "mine", logs(batch) {\n  (batch as never as { x: () => void }).x();\n} });`;
    expect(load({ "processors/mine.ts": text }, { probe: "mine" }).answer).toEqual({
      isConsumeError: true,
      kind: "internal",
      message: "processors.mine: logs() threw TypeError: batch.x is not a function (processors/mine.ts:4)",
    });
  });

  it("fails its batch, and ends nothing, when it calls process.exit", () => {
    const text = `${GOOD}export const a = defineProcessor({ type: "mine", logs() {\n  process.exit(0);\n} });`;
    expect(load({ "processors/mine.ts": text }, { probe: "mine" }).answer).toEqual({
      isConsumeError: true,
      kind: "internal",
      message:
        "processors.mine: logs() threw ForbiddenExitError: process.exit() in processors.mine would end the whole gateway; throw an Error instead (processors/mine.ts:3)",
    });
  });

  it("is found by its line when a promise of it rejects that nobody awaits", () => {
    const text = `${GOOD}import { later } from "./later.ts";\nexport const a = defineProcessor({ type: "mine", logs() { void later(); } });`;
    const files = {
      "processors/mine/processor.ts": text,
      "processors/mine/later.ts": `export async function later() {\n  await null;\n  throw new Error("too late");\n}`,
    };
    expect(load(files, { probe: "mine" }).answer).toEqual({
      type: "mine",
      place: "processors/mine/later.ts:3",
      message:
        "processors.mine: an error reached nobody: Error: too late (processors/mine/later.ts:3)\n  await every promise, and catch inside callbacks",
    });
  });

  it.each([
    ["a fetch that nobody awaits", 'void fetch("http://127.0.0.1:1/");', "TypeError: fetch failed"],
    ["a rejection that is no Error", 'void Promise.reject("gone");', "string gone"],
    [
      "a timer's callback that calls process.exit",
      "setTimeout(() => process.exit(0), 1);",
      "ForbiddenExitError: process\\.exit\\(\\) in processors\\.mine would end the whole gateway; throw an Error instead",
    ],
    ["a timer's callback that throws", "setTimeout(() => { throw new RangeError(`late`); }, 1);", "RangeError: late"],
  ])("is found behind %s", (_name, code, what) => {
    const text = `${GOOD}export const a = defineProcessor({ type: "mine", logs() { ${code} } });`;
    expect(load({ "processors/mine.ts": text }, { probe: "mine" }).answer).toEqual({
      type: "mine",
      place: expect.stringMatching(/^processors\/mine\.ts(:2)?$/),
      message: expect.stringMatching(
        `^processors\\.mine: an error reached nobody: ${what} \\(processors/mine\\.ts(:2)?\\)\n  await every promise`,
      ),
    });
  });
});
