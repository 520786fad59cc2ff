import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { basename, extname } from "node:path";
import { ForbiddenExitError } from "./processor-exit-guard.ts";
import { describeThrown, isOwnFile, stackLocations, type ProcessorOrigin } from "./processor-fault.ts";

/** Why a file could not be imported, in words for the person who wrote it. */
export interface ImportFailure {
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  readonly fix: string;
}

interface Place {
  readonly line: number;
  readonly column?: number;
}

const STRIPPING_FIX =
  "Node runs TypeScript by taking the types away; write `const X = { ... } as const` for an enum, exports for a namespace, and assign fields in the constructor";

export function explainImportFailure(origin: ProcessorOrigin, thrown: unknown): ImportFailure {
  const code = (thrown as NodeJS.ErrnoException | null)?.code;
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") return syntaxFailure(origin, thrown, STRIPPING_FIX);
  if (code === "ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING") {
    return {
      message: "Node does not run TypeScript under node_modules",
      fix: "move the folder out of node_modules, or compile the file to .js",
    };
  }
  if (code === "ERR_MODULE_NOT_FOUND") return missingModule(origin, thrown as Error);
  if (thrown instanceof SyntaxError) return syntaxFailure(origin, thrown, syntaxFix(thrown));
  return thrownAtImport(origin, thrown);
}

function syntaxFix(error: SyntaxError): string {
  return error.message.includes("does not provide an export")
    ? "check the name; a type is imported with `import type`"
    : "mend the syntax at this place";
}

function syntaxFailure(origin: ProcessorOrigin, thrown: unknown, fix: string): ImportFailure {
  const { message } = thrown as SyntaxError;
  const place = headedPlace(thrown as SyntaxError) ?? strippedPlace(origin);
  const inOther = place?.file !== undefined && place.file !== origin.file ? ` (in ${place.file})` : "";
  return { ...placeOf(place), message: `${message}${inOther}`, fix };
}

function placeOf(place: Place | undefined): Partial<Place> {
  if (place === undefined) return {};
  return place.column === undefined ? { line: place.line } : { line: place.line, column: place.column };
}

/** Node heads a syntax error's stack with the file and line, the text around it, and carets under the place. */
function headedPlace(error: SyntaxError): (Place & { readonly file: string }) | undefined {
  const [head = "", ...below] = (error.stack ?? "").split("\n");
  const match = /^(?:file:\/\/)?(\/.*?)(?:\?[^:]*)?:(\d+)$/.exec(head);
  if (match === null) return undefined;
  const caret = below.find((line) => /^ *\^+$/.test(line))?.indexOf("^") ?? -1;
  const place = { file: decodeURI(match[1]!), line: Number(match[2]) };
  return caret < 0 ? place : { ...place, column: caret + 1 };
}

/** Of a JavaScript file Node tells no place here; the TypeScript parser, which reads JavaScript too, does. */
function strippedPlace(origin: ProcessorOrigin): (Place & { readonly file: string }) | undefined {
  try {
    stripTypeScriptTypes(readFileSync(origin.file, "utf8"), { mode: "strip", sourceUrl: origin.file });
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) return undefined;
    const place = headedPlace(thrown);
    return place === undefined ? undefined : { ...place, file: origin.file };
  }
}

const SDK_FIX = 'import from "signalbox/sdk", which the gateway brings along';

function missingModule(origin: ProcessorOrigin, error: Error): ImportFailure {
  const [, kind = "module", name = ""] = /Cannot find (package|module) '([^']*)'/.exec(error.message) ?? [];
  // Ours, by the package's name: what the registry has under it is not this gateway's SDK.
  if (kind === "package" && name === "signalbox")
    return {
      ...lineFound(origin, (line) => /["']signalbox(?!\/sdk)/.test(line)),
      message: "cannot find package signalbox",
      fix: SDK_FIX,
    };
  const needle = kind === "package" ? name : basename(name, extname(name));
  return {
    ...(needle !== "" && lineFound(origin, (line) => line.includes(needle))),
    message: `cannot find ${kind} ${name}`,
    fix:
      kind === "package"
        ? `install it beside the processor (npm install ${name}), or do without`
        : 'check the path; a relative import names the file with its ending, "./helper.ts"',
  };
}

/** The first line that imports this; none where the import stands in another file. */
function lineFound({ file }: ProcessorOrigin, isWanted: (line: string) => boolean): { line?: number } {
  const lines = readFileSync(file, "utf8").split("\n");
  const index = lines.findIndex((line) => /\b(?:from|import)\b/.test(line) && isWanted(line));
  return index < 0 ? {} : { line: index + 1 };
}

function thrownAtImport(origin: ProcessorOrigin, thrown: unknown): ImportFailure {
  const message = describeThrown(thrown);
  for (const { file, line, column } of stackLocations(thrown)) {
    if (!isOwnFile(origin, file)) continue;
    const other = file === origin.file ? "" : ` (in ${file})`;
    return { line, column, message: `${message}${other}`, fix: fixOf(thrown, message) };
  }
  return { message, fix: fixOf(thrown, message) };
}

function fixOf(thrown: unknown, message: string): string {
  if (thrown instanceof ForbiddenExitError) return "take the call away; a file that throws is reported as this one is";
  return message.includes("defineProcessor:")
    ? "mend the definition"
    : "mend the code at the file's top level, or move it into start() of the object that create returns";
}
