import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DELIVERY_CONTRACT } from "./delivery-contract.ts";

const TESTS = new URL("..", import.meta.url);
const PAGE = new URL("../../docs/delivery-contract.md", import.meta.url);
const TABLES = /(?<=<!-- tests: npm run delivery-contract -->\n\n)[^]*?(?=\n\n<!-- end of tests -->)/;
const isWriting = (process.env["SIGNALBOX_WRITE_TABLES"] ?? "") !== "";

/** A test's name stands in its file as one string, in whichever quotes. */
function hasTest(file: string, name: string): boolean {
  const text = readFileSync(new URL(file, TESTS), "utf8");
  const written = JSON.stringify(name).slice(1, -1);
  return [`"${written}"`, `'${name}'`, `\`${name}\``].some((quoted) => text.includes(quoted));
}

function formatPoints(): string {
  const points = DELIVERY_CONTRACT.map(({ title, meaning, promises }, index) => {
    const files = promises.map(({ file, names }) => {
      const list = names.map((name) => `  - ${name.replaceAll("$", "\\$")}`);
      return [`- [test/${file}](../test/${file})`, ...list].join("\n");
    });
    return [`## ${index + 1}. ${title}`, meaning, files.join("\n")].join("\n\n");
  });
  return points.join("\n\n");
}

describe("each point of the delivery contract", () => {
  it("is one of nine, and has tests", () => {
    expect(DELIVERY_CONTRACT).toHaveLength(9);
    for (const { promises } of DELIVERY_CONTRACT) expect(promises.length).toBeGreaterThan(1);
  });

  it.for(DELIVERY_CONTRACT)("$title: its tests are there by their names", ({ promises }) => {
    const missing = promises.flatMap(({ file, names }) => names.filter((name) => !hasTest(file, name)));
    expect(missing).toEqual([]);
  });

  it("misses a test whose name nobody wrote", () => {
    expect(hasTest("queue/room.test.ts", "keeps every promise of the world")).toBe(false);
  });

  it("stands in docs/delivery-contract.md with them", () => {
    const page = readFileSync(PAGE, "utf8");
    if (isWriting)
      writeFileSync(
        PAGE,
        page.replace(TABLES, () => formatPoints()),
      );
    expect(TABLES.exec(readFileSync(PAGE, "utf8"))?.[0]).toBe(formatPoints());
  });
});
