/** One sample of a metrics page. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Page {
  /** By metric: its type. */
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const LINE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (NaN|[+-]Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)$`);

/**
 * Reads the text format 0.0.4 as strictly as promtool: every line is a comment of one of the two kinds or a sample, a
 * metric's lines stand together behind its HELP and TYPE, and no series stands twice.
 */
export function readPage(text: string): Page {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  const seen = new Set<string>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = new RegExp(`^# (HELP|TYPE) (${NAME}) (.*)$`).exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      if (kind === "HELP" && types.has(name)) throw new Error(`${name} stands in two places`);
      if (kind === "TYPE") types.set(name, rest);
      current = name;
      continue;
    }
    const [, name = "", labels = "", value] = LINE.exec(line) ?? [];
    if (value === undefined) throw new Error(`no line of the format: ${line}`);
    const family = types.get(current) === "histogram" ? name.replace(/_(?:bucket|sum|count)$/, "") : name;
    if (family !== current) throw new Error(`${name} stands under ${current}`);
    const series = `${name}{${labels}}`;
    if (seen.has(series)) throw new Error(`${series} stands twice`);
    seen.add(series);
    samples.push({ name, labels: labelsOf(labels), value: Number(value.replace("Inf", "Infinity")) });
  }
  return { types, samples };
}

function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(new RegExp(LABEL, "g"))].map(([pair]) => {
    const mark = pair.indexOf("=");
    const value = pair
      .slice(mark + 2, -1)
      .replaceAll(/\\(.)/g, (_whole, escaped) => (escaped === "n" ? "\n" : String(escaped)));
    return [pair.slice(0, mark), value] as const;
  });
  return Object.fromEntries(pairs);
}
