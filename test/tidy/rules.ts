/**
 * The rules of the house that neither the compiler nor the linter knows, as functions from files to findings, so that
 * each is proven in tidy.test.ts by a planted fault before it is trusted on the tree.
 */

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

/** A layer may import from itself and from the layers named here; components import no other component. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  wire: ["core/signal.ts", "core/limits.ts"],
  core: ["wire"],
  config: ["core", "wire"],
  queue: ["core", "wire", "config"],
  net: ["core", "wire", "config"],
  store: ["core", "wire", "config", "net"],
  sdk: ["core", "wire", "config"],
  rules: ["core", "wire", "config"],
  component: ["core", "wire", "config", "queue", "net", "store", "rules"],
  service: ["core", "wire", "config", "queue", "net", "store", "sdk", "component"],
  cli: ["core", "wire", "config", "queue", "net", "store", "sdk", "component", "service"],
  main: ["core", "config", "queue", "cli", "service"],
};

const COMPONENT_FOLDERS = ["receivers", "processors", "exporters", "connectors", "extensions"];

const IMPORT_PATTERN =
  /(?:^|\n)\s*(?:import|export)\s[^;"']*?from\s+["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

export function findLayerBreaks(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => file.path.startsWith("src/"))
    .flatMap((file) =>
      importsOf(file).flatMap(({ target, line }) => {
        const message = layerProblem(file.path, target);
        return message === undefined ? [] : [{ path: file.path, line, message }];
      }),
    );
}

function layerProblem(from: string, target: string): string | undefined {
  const fromLayer = layerOf(from);
  const targetLayer = layerOf(target);
  if (fromLayer === undefined || targetLayer === undefined) return undefined;
  if (fromLayer === "component" && targetLayer === "component") {
    return componentOf(from) === componentOf(target) ? undefined : `a component imports another component: ${target}`;
  }
  if (fromLayer === targetLayer) return undefined;
  const allowed = LAYERS[fromLayer] ?? [];
  const isAllowed = allowed.some((entry) => entry === targetLayer || `src/${entry}` === target);
  return isAllowed ? undefined : `${fromLayer} must not import ${targetLayer}: ${target}`;
}

function layerOf(path: string): string | undefined {
  const [root, folder = ""] = path.split("/");
  if (root !== "src") return undefined;
  if (folder.endsWith(".ts")) return "main";
  return COMPONENT_FOLDERS.includes(folder) ? "component" : folder;
}

function componentOf(path: string): string {
  return path.split("/").slice(0, 3).join("/");
}

/** Relative imports as paths from the repository's root. */
function importsOf(file: SourceFile): { target: string; line: number }[] {
  return [...file.text.matchAll(IMPORT_PATTERN)].flatMap((match) => {
    const specifier = match[1] ?? match[2] ?? "";
    if (!specifier.startsWith(".")) return [];
    const target = new URL(specifier, `file:///${file.path}`).pathname.slice(1);
    return [{ target, line: lineAt(file.text, match.index + match[0].indexOf(specifier)) }];
  });
}

interface WordRule {
  readonly pattern: RegExp;
  /** Where the word is allowed. */
  readonly allowed: RegExp;
  readonly message: string;
}

const WORD_RULES: readonly WordRule[] = [
  {
    pattern: /\bprocess\.env\b/g,
    allowed: /^src\/(main\.ts|cli\/)/,
    message: "process.env outside the command line: take it as a parameter",
  },
  {
    pattern: /\bprocess\.exit\b/g,
    allowed: /^src\/(main\.ts|cli\/)/,
    message: "process.exit outside the command line: throw, or report to the host",
  },
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|(?<![.\w])setTimeout\(|(?<![.\w])setInterval\(/g,
    allowed: /^src\/(main\.ts|cli\/|core\/clock\.ts)/,
    message: "time outside core/clock.ts: take a Clock",
  },
  { pattern: /\bas unknown as\b|@ts-(?:ignore|nocheck)/g, allowed: /^$/, message: "a type escape" },
  { pattern: /\b(?:TODO|FIXME|XXX)\b/g, allowed: /^$/, message: "a left-over: do it, or file an issue" },
];

export function findForbiddenWords(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => /^(src|processors)\//.test(file.path))
    .flatMap((file) =>
      WORD_RULES.flatMap((rule) =>
        rule.allowed.test(file.path)
          ? []
          : [...withoutComments(file.text).matchAll(rule.pattern)].map((match) => ({
              path: file.path,
              line: lineAt(file.text, match.index),
              message: `${rule.message} (${match[0]})`,
            })),
      ),
    );
}

/** processors/ is what users copy: it must live from the public entry alone. */
export function findPrivateImports(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => file.path.startsWith("processors/"))
    .flatMap((file) =>
      importsOf(file)
        .filter(({ target }) => !target.startsWith(file.path.split("/").slice(0, 2).join("/")))
        .map(({ target, line }) => ({
          path: file.path,
          line,
          message: `reaches outside its folder: ${target}; import "signalbox/sdk"`,
        })),
    );
}

/** Each component folder carries its config, factory, README and at least one test; each processor its README and test. */
export function findIncompleteComponents(paths: readonly string[]): Finding[] {
  const known = new Set(paths);
  const folders = new Set(
    paths.flatMap((path) => {
      const match = /^(src\/(?:receivers|processors|exporters|connectors|extensions)|processors)\/[^/.]+(?=\/)/.exec(
        path,
      );
      return match === null ? [] : [match[0]];
    }),
  );
  return [...folders].flatMap((folder) => {
    const needed = folder.startsWith("src/") ? ["config.ts", "factory.ts", "README.md"] : ["processor.ts", "README.md"];
    const missing = needed.filter((name) => !known.has(`${folder}/${name}`)).map((name) => `${folder}/${name}`);
    const testFolder = `test/${folder.replace(/^src\//, "")}/`;
    if (!paths.some((path) => path.startsWith(testFolder) && path.endsWith(".test.ts")))
      missing.push(`${testFolder}*.test.ts`);
    return missing.map((path) => ({ path: folder, line: 1, message: `lacks ${path}` }));
  });
}

const WORKPLACE_PATTERN = /\/(?:root|home\/[a-z]+|work)\/[\w.-]+|\bregistry\.npmjs\.org\b|\bproxy\.golang\.org\b/g;

/** No path of one machine and no registry host in any file people read. */
export function findWorkplaceTraces(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => file.path !== "test/tidy/rules.ts")
    .flatMap((file) =>
      [...file.text.matchAll(WORKPLACE_PATTERN)].map((match) => ({
        path: file.path,
        line: lineAt(file.text, match.index),
        message: `names a place that only one machine has: ${match[0]}`,
      })),
    );
}

const DECISION_PATTERN = /(?:\[[^\]\n]*?(\d{4})\]\([^)\n]*)?decisions\/((\d{4})(?:-[\w-]+\.md)?)/g;

/** A decision is named by the number, and the file name if any, that it has now. `decisions`: the names of their files. */
export function findWrongDecisions(files: readonly SourceFile[], decisions: readonly string[]): Finding[] {
  return files.flatMap((file) =>
    [...file.text.matchAll(DECISION_PATTERN)].flatMap((match) => {
      const [, label, name = "", number] = match;
      const isThere = decisions.some((decision) => decision === name || decision.startsWith(`${name}-`));
      if (isThere && (label ?? number) === number) return [];
      const message = `names a decision that is not there, or by another's number: ${match[0]}`;
      return [{ path: file.path, line: lineAt(file.text, match.index), message }];
    }),
  );
}

/** Comments become blanks of the same length, so that offsets and lines stay. Strings with `//` inside URLs are left alone. */
function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|[\s;{}(),])\/\/[^\n]*/g, (comment) =>
    comment.replaceAll(/[^\n]/g, " "),
  );
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let index = text.indexOf("\n"); index >= 0 && index < offset; index = text.indexOf("\n", index + 1)) line += 1;
  return line;
}
