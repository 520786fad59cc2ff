import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { settingsTable, undocumentedSettings } from "../../src/config/settings-table.ts";
import { BUILT_IN_FACTORIES } from "../../src/service/built-in.ts";
import {
  type Finding,
  findForbiddenWords,
  findIncompleteComponents,
  findLayerBreaks,
  findPrivateImports,
  findWorkplaceTraces,
  findWrongDecisions,
  type SourceFile,
} from "./rules.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

// Untracked files count too, so that a fault is found before it is committed.
const paths = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "");

function read(pattern: RegExp): SourceFile[] {
  return paths
    .filter((path) => pattern.test(path))
    .map((path) => ({ path, text: readFileSync(`${root}${path}`, "utf8") }));
}

const sources = read(/^(src|processors)\/.*\.ts$/);
const readable = read(/\.(ts|mjs|md|json|ya?ml|sh|py|txt)$|^\.ci\/|Dockerfile$/).filter(
  ({ path }) => path !== "package-lock.json" && !path.startsWith("test/testdata/"),
);

const decisions = paths.flatMap((path) => /^docs\/decisions\/(.+)$/.exec(path)?.[1] ?? []);

const show = (findings: readonly Finding[]): string[] =>
  findings.map(({ path, line, message }) => `${path}:${line}  ${message}`);
const plant = (path: string, text: string): SourceFile[] => [{ path, text }];

describe("the tree", () => {
  test("is looked at: a check over no files would pass", () => {
    expect(sources.length).toBeGreaterThan(50);
    expect(readable.length).toBeGreaterThan(sources.length);
  });

  test("keeps its layers", () => expect(show(findLayerBreaks(sources))).toEqual([]));
  test("takes time, environment and exit only where they belong", () =>
    expect(show(findForbiddenWords(sources))).toEqual([]));
  test("has processors that live from the public entry alone", () =>
    expect(show(findPrivateImports(sources))).toEqual([]));
  test("has components that are whole", () => expect(show(findIncompleteComponents(paths))).toEqual([]));
  test("names decisions by the numbers that they have", () => {
    expect(decisions.length).toBeGreaterThan(5);
    expect(show(findWrongDecisions(readable, decisions))).toEqual([]);
  });
  test("names no place of one machine", () => expect(show(findWorkplaceTraces(readable))).toEqual([]));
});

describe("a component's README", () => {
  test.for(BUILT_IN_FACTORIES.map((factory) => [`${factory.kind}s/${factory.type}`, factory] as const))(
    "of %s has the settings table that its schema gives (npm run docs)",
    ([folder, factory]) => {
      const readme = readFileSync(`${root}src/${folder}/README.md`, "utf8");
      expect(readme).toContain(settingsTable(factory.config));
      expect(undocumentedSettings(factory.config).map(({ path }) => path.join("."))).toEqual([]);
    },
  );
});

describe("each rule finds a planted fault", () => {
  test("a lower layer that imports a higher one", () => {
    expect(findLayerBreaks(plant("src/wire/a.ts", 'import { x } from "../queue/room.ts";'))).toHaveLength(1);
    expect(findLayerBreaks(plant("src/core/a.ts", 'export type { X } from "../net/door.ts";'))).toHaveLength(1);
    expect(findLayerBreaks(plant("src/queue/a.ts", 'const x = await import("../service/graph.ts");'))).toHaveLength(1);
  });

  test("a component that imports another", () => {
    expect(findLayerBreaks(plant("src/exporters/a/f.ts", 'import { x } from "../b/f.ts";'))).toHaveLength(1);
    expect(findLayerBreaks(plant("src/exporters/a/f.ts", 'import { x } from "./config.ts";'))).toHaveLength(0);
  });

  test("an import over several lines", () => {
    expect(findLayerBreaks(plant("src/wire/a.ts", 'import {\n  x,\n  y,\n} from "../net/door.ts";'))).toHaveLength(1);
  });

  test("the environment, the exit and the time taken by force", () => {
    for (const code of [
      "process.env.X",
      "process.exit(1)",
      "Date.now()",
      "new Date()",
      "setTimeout(f, 1)",
      "x as unknown as Y",
    ]) {
      expect(findForbiddenWords(plant("src/queue/a.ts", `const a = ${code};`)), code).toHaveLength(1);
    }
    expect(
      findForbiddenWords(plant("src/queue/a.ts", "// Date.now() is for the clock\nclock.after(1, f);")),
    ).toHaveLength(0);
  });

  test("a processor that reaches into the gateway", () => {
    expect(
      findPrivateImports(plant("processors/p/processor.ts", 'import { x } from "../../src/core/batch.ts";')),
    ).toHaveLength(1);
    expect(findPrivateImports(plant("processors/p/processor.ts", 'import { x } from "./table.ts";'))).toHaveLength(0);
  });

  test("a component without README or test", () => {
    const whole = ["config.ts", "factory.ts", "README.md"].map((name) => `src/exporters/x/${name}`);
    expect(findIncompleteComponents([...whole, "test/exporters/x/x.test.ts"])).toHaveLength(0);
    expect(findIncompleteComponents(whole)).toHaveLength(1);
    expect(findIncompleteComponents([...whole.slice(1), "test/exporters/x/x.test.ts"])).toHaveLength(1);
  });

  test("a decision by a number that another has", () => {
    const folder = ["docs", "decisions"].join("/");
    const names = ["0001-a.md", "0002-b.md"];
    const of = (text: string): Finding[] => findWrongDecisions(plant("src/a.ts", text), names);
    for (const right of [`${folder}/0001`, `${folder}/0002-b.md`, `[0001](../${folder}/0001-a.md)`]) {
      expect(of(right), right).toHaveLength(0);
    }
    for (const wrong of [`${folder}/0003`, `${folder}/0001-b.md`, `[decision 0002](${folder}/0001-a.md)`]) {
      expect(of(wrong), wrong).toHaveLength(1);
    }
  });

  test("a path of one machine", () => {
    expect(findWorkplaceTraces(plant("README.md", `see ${["", "root", "thing"].join("/")}`))).toHaveLength(1);
  });
});
