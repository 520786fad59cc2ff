/**
 * Where something stands in a configuration file; line and column count from 1, columns in UTF-16 code units.
 * Line 0: the file is one argument of the command line, `--set a.b`, which has no lines to count.
 */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One thing wrong with a configuration, or worth a warning. Never holds the value of a secret or of a variable. */
export interface Problem {
  readonly position: Position;
  /** `service.pipelines.traces.processors[1]`; "" where it is about the whole file. */
  readonly path: string;
  /** What was found and what was expected. */
  readonly message: string;
  /** What to write instead, or the nearest right name. */
  readonly fix?: string;
}

export type PathSegment = string | number;
export type Path = readonly PathSegment[];

// Keys as the Collector has them need no quotes; a header name with a dot would read as two segments.
const PLAIN_SEGMENT = /^[^\s.[\]"]+$/;
const SEGMENT_LENGTH_MAX = 80;

/** `processors.batch.timeout`, `receivers[0]`, `headers["x.y"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const segment of path) {
    if (typeof segment === "number") text += `[${segment}]`;
    else if (!PLAIN_SEGMENT.test(segment)) text += `[${quote(segment)}]`;
    else text += text === "" ? shorten(segment) : `.${shorten(segment)}`;
  }
  return text;
}

/** In double quotes, on one line, bounded. */
export function quote(text: string): string {
  return JSON.stringify(shorten(text));
}

function shorten(text: string): string {
  return text.length <= SEGMENT_LENGTH_MAX ? text : `${text.slice(0, SEGMENT_LENGTH_MAX - 3)}...`;
}

/**
 * In file order: by the order of the files, those that they include after them, then by line and column; what was found
 * first comes first where they are equal.
 */
export function sortProblems(problems: readonly Problem[], fileNames: readonly string[]): Problem[] {
  const files = [...fileNames, ...problems.map(({ position }) => position.file)];
  const fileIndex = (problem: Problem): number => files.indexOf(problem.position.file);
  return problems.toSorted(
    (a, b) => fileIndex(a) - fileIndex(b) || a.position.line - b.position.line || a.position.column - b.position.column,
  );
}

/** `gateway.yaml:3:5`, or `--set a.b`. */
export function formatPosition({ file, line, column }: Position): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

/** As a person reads them, three lines each, without a line break at the end. */
export function formatProblems(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join("\n");
}

function formatProblem({ position, path, message, fix }: Problem): string {
  const head = `${formatPosition(position)}${path === "" ? "" : `  ${path}`}`;
  return [head, `  ${message}`, ...(fix === undefined ? [] : [`  ${fix}`])].join("\n");
}
