import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const PROBE = fileURLToPath(new URL("memory-probe.ts", import.meta.url));

let root: string;
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "signalbox-memory-")));
  mkdirSync(join(root, "p/two"), { recursive: true });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function processor(type: string, rest = ""): string {
  return `import { defineProcessor } from "signalbox/sdk";\n${rest}\nexport const it = defineProcessor({ type: "${type}", logs() {} });\n`;
}

describe("processors that are loaded again", () => {
  test("are the same while their files and what these import hold the same bytes, and new ones else", () => {
    const one = join(root, "p/one.ts");
    const two = join(root, "p/two/processor.ts");
    const helper = join(root, "p/two/helper.ts");
    const deep = join(root, "p/two/deep.ts");
    writeFileSync(one, processor("one"));
    writeFileSync(two, processor("two", 'import "./helper.ts";'));
    writeFileSync(helper, 'import "./deep.ts";\n');
    writeFileSync(deep, "export const A = 1;\n");
    const edits = [
      {},
      { [deep]: "export const A = 2;\n" },
      { [one]: processor("one") },
      { [one]: "enum Broken { A }\n" },
      { [one]: processor("one", "// mended") },
    ];
    const output = execFileSync(process.execPath, [PROBE, JSON.stringify({ folder: join(root, "p"), edits })], {
      encoding: "utf8",
    });
    const { said, files } = JSON.parse(output) as { said: unknown; files: unknown };
    expect(said).toEqual([
      { types: ["one", "two"], kept: [], replaced: 0, problems: 0 },
      { types: ["one", "two"], kept: ["one", "two"], replaced: 0, problems: 0 },
      { types: ["one", "two"], kept: ["one"], replaced: 3, problems: 0 },
      { types: ["one", "two"], kept: ["one", "two"], replaced: 3, problems: 0 },
      { types: ["two"], kept: ["two"], replaced: 3, problems: 1 },
      { types: ["one", "two"], kept: ["two"], replaced: 4, problems: 0 },
    ]);
    expect(files).toEqual([one, deep, helper, two].toSorted());
  });
});
