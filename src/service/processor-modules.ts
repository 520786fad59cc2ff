import { realpathSync } from "node:fs";
import { registerHooks, type ResolveFnOutput, type ResolveHookContext } from "node:module";
import { fileURLToPath } from "node:url";
import { moduleUrl } from "../core/package-files.ts";

/**
 * How a user's file becomes a module of this process.
 *
 * - `signalbox/sdk` leads to our own SDK wherever the file lies: its folder needs no node_modules, and there is one SDK
 *   in the process, so that its classes are the gateway's.
 * - Each load carries a generation in the URL's query (`mine.ts?signalbox-generation=3`), handed on to what the file
 *   imports from beside it, so that an edited file is read again: Node keeps a module by its URL, for ever.
 * - A `.ts` file is an ES module even where no package.json says so, which Node would otherwise guess with a warning.
 */

const GENERATION = "signalbox-generation";

const SDK_URLS: ReadonlyMap<string, string> = new Map([
  ["signalbox/sdk", moduleUrl("src/sdk/index").href],
  ["signalbox/sdk/testing", moduleUrl("src/sdk/testing").href],
]);

let generation = 0;
let isHooked = false;

/** By generation: which file imports which from beside it. One load's is a few strings. */
const imports = new Map<number, Map<string, Set<string>>>();

/** The file and all that it imports from beside it, directly or not, as far as that load has followed. */
export function filesOf(file: string, current: number): string[] {
  const edges = imports.get(current);
  // Node follows links, so the importer's name in its own words is the file's real path.
  const files = new Set([file]);
  for (const path of files)
    for (const imported of edges?.get(path) ?? edges?.get(realPath(path)) ?? []) files.add(imported);
  return [...files];
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It went away meanwhile; then nothing is known to import anything under that name.
    return path;
  }
}

/** Call once before the files of one load; what is imported then is read anew. Old generations stay in memory. */
export function nextGeneration(): number {
  if (!isHooked) registerHooks({ resolve });
  isHooked = true;
  return ++generation;
}

export function generationUrl(fileUrl: URL, current: number): string {
  const url = new URL(fileUrl);
  url.searchParams.set(GENERATION, String(current));
  return url.href;
}

type NextResolve = (specifier: string, context?: Partial<ResolveHookContext>) => ResolveFnOutput;

function resolve(specifier: string, context: ResolveHookContext, nextResolve: NextResolve): ResolveFnOutput {
  const sdk = SDK_URLS.get(specifier);
  if (sdk !== undefined) return { url: sdk, shortCircuit: true };
  const result = nextResolve(specifier, context);
  const url = URL.parse(result.url);
  if (url?.protocol !== "file:" || url.pathname.includes("/node_modules/")) return result;
  const current = url.searchParams.get(GENERATION) ?? parentGeneration(context.parentURL);
  if (current === null) return result;
  noteImport(context.parentURL, url, Number(current));
  url.searchParams.set(GENERATION, current);
  const format = url.pathname.endsWith(".ts") ? "module-typescript" : result.format;
  return { ...result, url: url.href, format };
}

function noteImport(parentUrl: string | undefined, url: URL, current: number): void {
  const parent = parentUrl === undefined ? null : URL.parse(parentUrl);
  if (parent?.searchParams.get(GENERATION) !== String(current)) return;
  const edges = imports.get(current) ?? new Map<string, Set<string>>();
  imports.set(current, edges);
  const path = fileURLToPath(parent);
  edges.set(path, (edges.get(path) ?? new Set()).add(fileURLToPath(url)));
}

function parentGeneration(parentUrl: string | undefined): string | null {
  return parentUrl === undefined ? null : (URL.parse(parentUrl)?.searchParams.get(GENERATION) ?? null);
}
