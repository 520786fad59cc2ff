import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeExporter, describeExtension, describeProcessor, describeReceiver } from "./component-contract.ts";
import { COMPONENT_CASES, FACTORIES, OWN_PROCESSORS } from "./component-cases.ts";
import { contractTables } from "./table.ts";

describe("the list of components", () => {
  test("has a place for every factory of the gateway and of processors/ (add it to component-cases.ts)", () => {
    expect(OWN_PROCESSORS.problems).toEqual([]);
    const placed = new Set(COMPONENT_CASES.map((subject) => subject.factory));
    expect(FACTORIES.filter((factory) => !placed.has(factory)).map(({ kind, type }) => `${kind}s/${type}`)).toEqual([]);
  });
});

test("the README has the table that the list gives (npm run docs)", () => {
  expect(readFileSync(new URL("README.md", import.meta.url), "utf8")).toContain(contractTables());
});

for (const subject of COMPONENT_CASES) {
  if (subject.kind === "receiver") describeReceiver(subject);
  if (subject.kind === "processor") describeProcessor(subject);
  if (subject.kind === "exporter") describeExporter(subject);
  if (subject.kind === "extension") describeExtension(subject);
}
