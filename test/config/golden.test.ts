import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadConfiguration } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { TEST_LOOKUP } from "./test-factories.ts";

/**
 * Every test/testdata/config/*.yaml beside its *.expected.txt: what an operator reads. The first lines of a file may set
 * variables, as `#env NAME=value`. To accept new texts after reading them: UPDATE_GOLDEN=1 npx vitest run test/config/golden.test.ts
 */
const FOLDER = fileURLToPath(new URL("../testdata/config", import.meta.url));
const NAMES = readdirSync(FOLDER).filter((name) => name.endsWith(".yaml"));

function environmentOf(text: string): Record<string, string> {
  const lines = text.matchAll(/^#env ([A-Z0-9_]+)=(.*)$/gm);
  return Object.fromEntries(Array.from(lines, (line) => [line[1]!, line[2]!.replaceAll("\\n", "\n")]));
}

function answerTo(name: string): string {
  const text = readFileSync(join(FOLDER, name), "utf8");
  const result = loadConfiguration({ files: [{ name, text }], env: environmentOf(text), factories: TEST_LOOKUP });
  const problems = result.ok ? "ok" : formatProblems(result.problems);
  return [
    `${problems}\n`,
    ...(result.warnings.length > 0 ? [`warnings:\n${formatProblems(result.warnings)}\n`] : []),
  ].join("\n");
}

describe("what the operator reads", () => {
  it("has a file to compare with for every example", () => {
    expect(NAMES.length).toBeGreaterThan(10);
  });

  it.each(NAMES)("%s is answered as its expected text says", (name) => {
    const expectedPath = join(FOLDER, name.replace(/\.yaml$/, ".expected.txt"));
    const answer = answerTo(name);
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(expectedPath, answer);
    expect(answer).toBe(readFileSync(expectedPath, "utf8"));
  });
});
