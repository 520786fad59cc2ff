import type { Position } from "./problem.ts";

export interface SourceFile {
  /** As the operator named it: it stands in every message. */
  readonly name: string;
  readonly text: string;
  /** One argument of the command line: its name says where, and there are no lines to count. */
  readonly isArgument?: boolean;
}

/**
 * Offsets to lines. Not the parser's own counter, which loses the line breaks inside what it cannot read.
 *
 * The parser reports an unclosed bracket below the last line, and puts a value that is not there on the line break;
 * the last character before it helps more.
 */
export class LineTable {
  readonly #file: SourceFile;
  readonly #lineStarts: number[] = [0];
  readonly #lastOffset: number;

  constructor(file: SourceFile) {
    this.#file = file;
    this.#lastOffset = Math.max(file.text.trimEnd().length - 1, 0);
    for (let at = file.text.indexOf("\n"); at >= 0; at = file.text.indexOf("\n", at + 1)) this.#lineStarts.push(at + 1);
  }

  positionAt(offset: number): Position {
    const { name, text, isArgument } = this.#file;
    if (isArgument === true) return { file: name, line: 0, column: 0 };
    let at = Math.min(offset, this.#lastOffset);
    while (at > 0 && (text[at] === "\n" || text[at] === "\r")) at--;
    const line = this.#lineOf(at);
    return { file: name, line, column: at - this.#lineStarts[line - 1]! + 1 };
  }

  /** Lines that begin at or before the offset, by bisection. */
  #lineOf(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
