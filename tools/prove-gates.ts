/**
 * Proves that each gate of .ci/run is closed: plants one fault for each in a copy of the tree and expects the gate to
 * fail. A gate that reports "0 files checked" is open, and nobody would know.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface Fault {
  readonly gate: string;
  readonly command: readonly [string, ...string[]];
  readonly path: string;
  readonly text: string;
  /** Must stand in the gate's output, so that it fails for the planted reason and no other. */
  readonly expects: string;
}

const FAULTS: readonly Fault[] = [
  {
    gate: "types",
    command: ["npm", "run", "-s", "types"],
    path: "src/core/planted.ts",
    text: 'export const planted: number = "text";\n',
    expects: "src/core/planted.ts",
  },
  {
    gate: "types, an enum that Node cannot strip",
    command: ["npm", "run", "-s", "types"],
    path: "src/core/planted.ts",
    text: "export enum Planted {\n  one,\n}\n",
    expects: "erasableSyntaxOnly",
  },
  {
    gate: "lint, a promise that nobody awaits",
    command: ["npm", "run", "-s", "lint"],
    path: "src/core/planted.ts",
    text: "async function later(): Promise<void> {}\nexport function planted(): void {\n  later();\n}\n",
    expects: "no-floating-promises",
  },
  {
    gate: "lint, a function over 70 lines",
    command: ["npm", "run", "-s", "lint"],
    path: "src/core/planted.ts",
    text: `export function planted(value: number): number {\n  let sum = value;\n${"  sum += 1;\n".repeat(71)}  return sum;\n}\n`,
    expects: "max-lines-per-function",
  },
  {
    gate: "format",
    command: ["npm", "run", "-s", "format:check"],
    path: "src/core/planted.ts",
    text: "export   const planted   = 1\n",
    expects: "src/core/planted.ts",
  },
  {
    gate: "dead code",
    command: ["npm", "run", "-s", "knip"],
    path: "src/core/planted.ts",
    text: "export const planted = 1;\n",
    expects: "src/core/planted.ts",
  },
  {
    gate: "tidy",
    command: ["npx", "vitest", "run", "test/tidy"],
    path: "src/wire/planted.ts",
    text: 'export { closestName } from "../core/closest-name.ts";\n',
    expects: "src/wire/planted.ts",
  },
  {
    gate: "tests",
    command: ["npx", "vitest", "run", "test/planted.test.ts"],
    path: "test/planted.test.ts",
    text: 'import { expect, test } from "vitest";\ntest("fails", () => expect(1).toBe(2));\n',
    expects: "expected 1 to be 2",
  },
];

const root = fileURLToPath(new URL("..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "signalbox-gates-"));
let open = 0;
try {
  copyTree();
  for (const fault of FAULTS) {
    const verdict = prove(fault);
    if (verdict !== undefined) open += 1;
    console.log(
      `${verdict === undefined ? "closed" : "OPEN  "}  ${fault.gate}${verdict === undefined ? "" : `: ${verdict}`}`,
    );
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exitCode = open === 0 ? 0 : 1;

function copyTree(): void {
  const paths = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const path of paths.split("\n").filter((line) => line !== "")) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path));
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  // The tidy test asks git which files there are.
  execFileSync("git", ["init", "--quiet"], { cwd: copy });
}

/** What is wrong with the gate, or undefined where it is closed. */
function prove(fault: Fault): string | undefined {
  const [command, ...args] = fault.command;
  const path = join(copy, fault.path);
  writeFileSync(path, fault.text);
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: copy,
    encoding: "utf8",
    env: { ...process.env, CI: "true" },
  });
  rmSync(path);
  if (status === 0) return `passes ${fault.path} with ${JSON.stringify(readableHead(fault.text))}`;
  return `${stdout}${stderr}`.includes(fault.expects)
    ? undefined
    : `fails, but not for ${fault.expects}:\n${stdout}${stderr}`;
}

function readableHead(text: string): string {
  return text.split("\n")[0] ?? "";
}
