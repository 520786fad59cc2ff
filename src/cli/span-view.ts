import { formatMs } from "../store/job-verdict.ts";
import type { SpanJson } from "../store/record-json.ts";
import { columnWidth, workerName } from "./record-view.ts";
import type { View } from "./record-view.ts";
import { cutText, fitText, textWidth, visibleText } from "./terminal-text.ts";

interface Branch {
  readonly span: SpanJson;
  readonly name: string;
}

/** Deeper ones are drawn at this depth; hostile parents cannot push the names off the screen. */
const DEPTH_MAX = 12;

/**
 * Spans as a tree in time order: name, start from the first, duration, worker, and the error where it failed.
 * With `origins`, the ids of the spans in which failures began, only these are given the room to say why.
 * A span whose parent is not among them stands at the root. Parents in a circle, which no tree holds, stand there too.
 */
export function writeSpanTree(
  spans: readonly SpanJson[],
  origins: ReadonlySet<string> | undefined,
  view: View,
): string[] {
  const branches = orderAsTree(spans);
  const startUs = branches.reduce((start, { span }) => Math.min(start, span.time_us), Infinity);
  const nameColumns = columnWidth(
    branches.map(({ name }) => name),
    Math.floor(view.columns * 0.42),
  );
  const workers = new Set(spans.map(workerName));
  // One worker is named once, above; the column's room goes to the errors.
  const workerColumns = workers.size > 1 ? columnWidth([...workers], 26) : 0;
  return branches.flatMap(({ span, name }) => {
    const start = `+${formatMs((span.time_us - startUs) / 1000)}`.padStart(11);
    const took = formatMs(span.duration_ms).padStart(12);
    const worker = workerColumns === 0 ? "" : `  ${fitText(workerName(span), workerColumns)}`;
    const lead = `${fitText(name, nameColumns)}${start}${took}${worker}`;
    return writeSpan(lead, span, origins, view);
  });
}

/** One line; where the reason of a failure has no room on it, it stands on the next. */
function writeSpan(lead: string, span: SpanJson, origins: ReadonlySet<string> | undefined, view: View): string[] {
  const fit = (text: string): string => (view.isFull ? text.trimEnd() : cutText(text.trimEnd(), view.columns));
  if (span.status !== "error") return [fit(lead)];
  const isOrigin = origins?.has(span.id) ?? false;
  const marked = `${lead}  ✗${isOrigin ? " it began here" : ""}`;
  const why = visibleText(failureText(span));
  const whole = `${marked} ${why}`;
  const fits = why === "" || textWidth(whole) <= view.columns || !(isOrigin || origins === undefined);
  return (fits ? [whole] : [marked, `${REASON_INDENT}${why}`]).map((line) => view.paint("bad", fit(line)));
}

const REASON_INDENT = " ".repeat(8);

function failureText(span: SpanJson): string {
  const exception = span.events.find((event) => event.name === "exception")?.attributes;
  const parts = [exception?.["exception.type"], exception?.["exception.message"]];
  return parts.filter((part): part is string => typeof part === "string").join(": ") || (span.status_message ?? "");
}

function orderAsTree(spans: readonly SpanJson[]): Branch[] {
  const ids = new Set(spans.map((span) => span.span_id));
  const children = Map.groupBy(spans, (span) => (isChild(span, ids) ? span.parent_span_id : undefined));
  const placed = new Set<SpanJson>();
  const branches: Branch[] = [];
  // An own stack: ten thousand spans that are each other's child must not overflow the call stack.
  const placeTree = (roots: readonly SpanJson[]): void => {
    const stack = roots.toReversed().map((span) => ({ span, depth: 0 }));
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const { span, depth } = top;
      if (placed.has(span)) continue;
      placed.add(span);
      branches.push({ span, name: branchName(span, depth) });
      // Two spans with one id, which a broken sender makes, share their children: the first gets them.
      for (const child of (children.get(span.span_id) ?? []).toReversed())
        stack.push({ span: child, depth: depth + 1 });
    }
  };
  placeTree(children.get(undefined) ?? []);
  for (const span of spans) if (!placed.has(span)) placeTree([span]);
  return branches;
}

function isChild(span: SpanJson, ids: ReadonlySet<string>): boolean {
  return span.parent_span_id !== undefined && span.parent_span_id !== span.span_id && ids.has(span.parent_span_id);
}

function branchName(span: SpanJson, depth: number): string {
  const indent = depth === 0 ? "" : `${"  ".repeat(Math.min(depth, DEPTH_MAX) - 1)}└ `;
  return `${indent}${visibleText(span.name)}`;
}
