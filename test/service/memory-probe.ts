/**
 * Loads a folder again after each edit, with the memory of the loads before, in a plain Node process (see load-probe.ts).
 * Prints, for each load, whether each processor is the one that it was, and how many files were replaced so far.
 */
import { writeFileSync } from "node:fs";
import type { ProcessorFactory } from "../../src/core/component.ts";
import { loadProcessors } from "../../src/service/processor-loader.ts";
import { ProcessorMemory } from "../../src/service/processor-memory.ts";

const { folder, edits } = JSON.parse(process.argv[2] ?? "{}") as {
  folder: string;
  edits: readonly Readonly<Record<string, string>>[];
};

const memory = new ProcessorMemory();
let former = new Map<string, ProcessorFactory>();
const said: object[] = [];
for (const edit of [{}, ...edits]) {
  for (const [file, text] of Object.entries(edit)) writeFileSync(file, text);
  // Written in the moment of the load, a file would be read again the next time in any case.
  await new Promise((resolve) => setTimeout(resolve, 60));
  const { factories, problems } = await loadProcessors([folder], { memory });
  const now = new Map(factories.map((factory) => [factory.type, factory]));
  const kept = [...now].filter(([type, factory]) => former.get(type) === factory).map(([type]) => type);
  said.push({ types: [...now.keys()], kept, replaced: memory.supersededCount, problems: problems.length });
  former = now;
}
process.stdout.write(JSON.stringify({ said, files: [...memory.files].toSorted() }));
