/** A query that cannot be read: where it goes wrong, what is wrong there, and what to write instead. */
export class QueryError extends Error {
  override readonly name = "QueryError";
  /** Index of the first offending character in the query, in UTF-16 units. */
  readonly position: number;
  /** How many characters are meant; at least 1, so that a caret has something to stand under. */
  readonly length: number;
  readonly fix: string;

  constructor(message: string, position: number, length: number, fix: string) {
    super(message);
    this.position = position;
    this.length = Math.max(1, length);
    this.fix = fix;
  }
}

/** The widest piece of a query that is shown above the caret; a pasted stack trace must not fill the screen. */
const EXCERPT_CHARS_MAX = 72;

/** Three lines for a terminal: the query, carets under the fault, the sentence with its fix. */
export function formatQueryError(
  query: string,
  fault: { message: string; position?: number; length?: number; fix?: string },
): string {
  const lines: string[] = [];
  if (fault.position !== undefined) lines.push(...drawCaret(query, fault.position, fault.length ?? 1));
  lines.push(fault.message);
  if (fault.fix !== undefined) lines.push(`  ${fault.fix}`);
  return lines.join("\n");
}

function drawCaret(query: string, position: number, length: number): string[] {
  const flat = query.replace(/[\s\p{Cc}]/gu, " ");
  const start = Math.max(0, Math.min(position - EXCERPT_CHARS_MAX / 2, flat.length - EXCERPT_CHARS_MAX));
  const excerpt = flat.slice(start, start + EXCERPT_CHARS_MAX);
  const carets = "^".repeat(Math.max(1, Math.min(length, start + EXCERPT_CHARS_MAX - position)));
  return [`  ${excerpt}`, `  ${" ".repeat(position - start)}${carets}`];
}
