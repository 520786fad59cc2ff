import type { Reporter, TestCase, TestModule } from "vitest/node";

/** Lists what was skipped and why at the end of a run: a skipped test that nobody sees is a hole that nobody sees. */
class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const reasons = new Map<string, string[]>();
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const reason = skipReason(test);
        reasons.set(reason, [...(reasons.get(reason) ?? []), `${module.relativeModuleId}: ${test.fullName}`]);
      }
    }
    for (const [reason, names] of reasons) {
      process.stdout.write(`\nskipped ${names.length}: ${reason}\n${names.map((name) => `  ${name}\n`).join("")}`);
    }
  }
}

function skipReason(test: TestCase): string {
  const result = test.result();
  return (result.state === "skipped" ? result.note : undefined) ?? "no reason given";
}

// vitest loads a reporter by its default export.
export { SkipReporter as default };
