/**
 * Text of records on its way to a terminal. What a worker printed may hold anything: a log line must not move the
 * cursor, change the title, turn the reading direction, or look like another line.
 */

// Everything that acts instead of showing: controls C0 and C1, line and paragraph separators, bidirectional controls,
// invisible format characters, tags, and halves of surrogate pairs. The zero-width joiner stays: emoji are made with it.
const ACTING_RANGES = [
  "\\u0000-\\u001f\\u007f-\\u009f",
  "\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb",
  "\\u{e0000}-\\u{e007f}",
  "\\p{Cs}",
] as const;
const ACTING = new RegExp(`[${ACTING_RANGES.join("")}]`, "gu");

/** The text on one line, with every acting character as a visible mark. */
export function visibleText(text: string): string {
  return text.replace(/\r?\n/g, " ⏎ ").replaceAll("\t", "  ").replace(ACTING, mark);
}

function mark(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? "␡" : `\\u{${code.toString(16)}}`;
}

/** JSON as JSON.stringify writes it, with the acting characters that it leaves bare escaped as well: the same value. */
export function visibleJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(ACTING, (char) =>
    // Of a pretty-printed text the line ends are JSON's own; inside strings JSON has escaped them already.
    char === "\n"
      ? char
      : Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`).join(
          "",
        ),
  );
}

const WIDE =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\u3000-\u303f\uff01-\uff60]/u;
const ZERO = /\p{Mn}|\p{Me}|\u200d|\ufe0f/u;

/** Columns that a terminal uses for this character; close enough to keep columns in line. */
function charWidth(char: string): number {
  if (char < "\u0300") return 1;
  if (ZERO.test(char)) return 0;
  return WIDE.test(char) ? 2 : 1;
}

export function textWidth(text: string): number {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** At most `columns` wide; what is cut ends in "…". */
export function cutText(text: string, columns: number): string {
  if (text.length <= columns && textWidth(text) <= columns) return text;
  let width = 0;
  let at = 0;
  for (const char of text) {
    width += charWidth(char);
    // One column is kept for the mark.
    if (width > columns - 1) return `${text.slice(0, at)}…`;
    at += char.length;
  }
  return text;
}

/** Exactly `columns` wide: cut or filled. */
export function fitText(text: string, columns: number): string {
  const cut = cutText(text, columns);
  return cut + " ".repeat(Math.max(0, columns - textWidth(cut)));
}

export type Paint = (style: Style, text: string) => string;
export type Style = "bad" | "warn" | "good" | "dim" | "bold";

const CODES: Readonly<Record<Style, string>> = { bad: "31", warn: "33", good: "32", dim: "2", bold: "1" };

/** Colours only where a person looks on, and has not asked for none (https://no-color.org). */
export function createPaint(isTty: boolean, env: Readonly<Record<string, string | undefined>>): Paint {
  const isPlain = !isTty || (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return isPlain ? (_style, text) => text : (style, text) => `\u001b[${CODES[style]}m${text}\u001b[0m`;
}

const COLUMNS_DEFAULT = 100;
const COLUMNS_MIN = 60;

/** The width to write for. Shells set COLUMNS for themselves and seldom export it, so this is mostly the default. */
export function readColumns(env: Readonly<Record<string, string | undefined>>): number {
  const columns = Number(env["COLUMNS"]);
  return Number.isInteger(columns) && columns >= COLUMNS_MIN ? columns : COLUMNS_DEFAULT;
}
