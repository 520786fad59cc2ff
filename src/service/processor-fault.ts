import { AsyncLocalStorage } from "node:async_hooks";
import { fileURLToPath } from "node:url";

/** Where a processor came from. Both paths are absolute. */
export interface ProcessorOrigin {
  readonly type: string;
  readonly file: string;
  /** `<folder>/<type>` where the processor has a folder of its own: all files in it are this processor's. */
  readonly ownFolder?: string;
  /** `file` for messages: relative to the working directory where it lies below it. */
  readonly shownFile: string;
}

export interface SourceLocation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

// `at logs (file:///a/b.ts?generation=1:12:5)`, `at async file:///a/b.ts:3:7`, `at /a/b.js:1:2`.
const FRAME = /(?:\(|\bat (?:async )?)((?:file:\/\/)?\/[^()]*?):(\d+):(\d+)\)?$/;

/** The stack's frames that lie in files, innermost first. */
export function* stackLocations(thrown: unknown): Iterable<SourceLocation> {
  if (!(thrown instanceof Error) || typeof thrown.stack !== "string") return;
  for (const frame of thrown.stack.split("\n")) {
    const match = FRAME.exec(frame);
    if (match === null) continue;
    const file = toPath(match[1]!);
    if (file !== undefined) yield { file, line: Number(match[2]), column: Number(match[3]) };
  }
}

function toPath(text: string): string | undefined {
  if (!text.startsWith("file:")) return text;
  const url = URL.parse(text);
  return url === null ? undefined : fileURLToPath(url);
}

export function isOwnFile(origin: ProcessorOrigin, file: string): boolean {
  return file === origin.file || (origin.ownFolder !== undefined && file.startsWith(`${origin.ownFolder}/`));
}

/** `processors/mine.ts:12`: the innermost of the processor's own lines, or its file where the stack shows none. */
export function faultLocation(origin: ProcessorOrigin, thrown: unknown): string {
  for (const location of stackLocations(thrown)) {
    if (isOwnFile(origin, location.file)) return `${shownPath(origin, location.file)}:${location.line}`;
  }
  return origin.shownFile;
}

function shownPath(origin: ProcessorOrigin, file: string): string {
  const root = origin.file.slice(0, origin.file.length - origin.shownFile.length);
  return origin.file.endsWith(origin.shownFile) && file.startsWith(root) ? file.slice(root.length) : file;
}

// What a user's code throws may hold a whole body; the answer to the sender and the log take the beginning.
const MESSAGE_LENGTH_MAX = 500;

/** `TypeError: x is not a function`, on one line; for what is no Error, its text. */
export function describeThrown(thrown: unknown): string {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `${typeof thrown} ${safeString(thrown)}`;
  const line = text.replaceAll(/\s*\n\s*/g, " ");
  return line.length > MESSAGE_LENGTH_MAX ? `${line.slice(0, MESSAGE_LENGTH_MAX)}...` : line;
}

// An object may throw when it is turned into text, and a report must not.
function safeString(value: unknown): string {
  try {
    return String(value);
  } catch {
    return "(that cannot be shown)";
  }
}

const running = new AsyncLocalStorage<ProcessorOrigin>();

/** Runs a processor's code so that whatever it starts and nobody awaits is still known to be its own. Costs half a microsecond. */
export function runAs<T>(origin: ProcessorOrigin, code: () => T): T {
  return running.run(origin, code);
}

/** Whose code runs now, or started what runs now; undefined where it is the gateway's own. */
export function runningProcessor(): ProcessorOrigin | undefined {
  return running.getStore();
}

export interface StrayFault {
  readonly type: string;
  /** File, and line where it is known: the same for the same mistake, whatever the message. */
  readonly place: string;
  readonly message: string;
}

/**
 * Whose an error is that reached nobody: of a promise that a processor did not await, of a timer's callback.
 * For the service's `unhandledRejection` and `uncaughtException`, to be called from within those handlers: an error of a
 * user's processor is logged and the gateway goes on; anything else is ours, and fatal.
 *
 * The stack tells the line. It shows none where Node itself rejects (`void fetch(url)`) or no Error was thrown: then it is
 * the processor whose code started what failed.
 */
export function findProcessorAtFault(thrown: unknown, origins: Iterable<ProcessorOrigin>): StrayFault | undefined {
  const all = [...origins];
  for (const location of stackLocations(thrown)) {
    const origin = all.find((candidate) => isOwnFile(candidate, location.file));
    if (origin !== undefined) return strayFault(origin, thrown, `${shownPath(origin, location.file)}:${location.line}`);
  }
  const origin = runningProcessor();
  return origin === undefined ? undefined : strayFault(origin, thrown, origin.shownFile);
}

function strayFault({ type }: ProcessorOrigin, thrown: unknown, place: string): StrayFault {
  const what = `processors.${type}: an error reached nobody: ${describeThrown(thrown)} (${place})`;
  return { type, place, message: `${what}\n  await every promise, and catch inside callbacks` };
}
