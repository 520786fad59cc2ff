import { formatMs } from "../store/job-verdict.ts";
import type { AttemptJson, GapJson, JobStory, PeerJson, StoryLine } from "../store/job-story.ts";
import { clockOf, columnWidth, countOf, dayOf, levelLetter, workerName, writeLine } from "./record-view.ts";
import type { View } from "./record-view.ts";
import { writeSpanTree } from "./span-view.ts";
import { cutText, fitText, visibleText } from "./terminal-text.ts";
import type { Style } from "./terminal-text.ts";
import { LINES_MAX } from "./store-options.ts";

const OUTCOME_STYLES: Readonly<Record<JobStory["outcome"], Style>> = {
  failed: "bad",
  completed: "good",
  unknown: "warn",
};

/** The verdict first; everything below is its proof. */
export function writeStory(story: JobStory, view: View): string[] {
  const sections = [
    writeVerdict(story, view),
    writeAttempts(story, view),
    writeSpans(story, view),
    writeStoryLines(story, view),
    ...writeMachines(story, view),
    writeLeftOut(story),
  ];
  return sections
    .filter((section) => section.length > 0)
    .flatMap((section, index) => (index === 0 ? section : ["", ...section]));
}

function heading(text: string, view: View): string {
  return view.paint("bold", text);
}

/** The sentence is never cut: it is what one came for. It is broken at blanks instead. */
function writeVerdict(story: JobStory, view: View): string[] {
  const title = heading(`job ${visibleText(story.job_id)}`, view);
  return [
    title,
    ...wrapText(visibleText(story.sentence), view.columns).map((line) =>
      view.paint(OUTCOME_STYLES[story.outcome], line),
    ),
  ];
}

function wrapText(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = `  ${word}`;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** A job that ran once has told all of it in the verdict. */
function writeAttempts(story: JobStory, view: View): string[] {
  if (story.attempts.length < 2) return [];
  return [
    heading(`It ran ${story.attempts.length} times`, view),
    ...story.attempts.map((attempt) => writeAttempt(attempt, view)),
  ];
}

function writeAttempt(attempt: AttemptJson, view: View): string {
  const why = attempt.why ?? attempt.basis;
  const place = `${workerName(attempt)}${attempt.service_type === undefined ? "" : ` (${visibleText(attempt.service_type)})`}`;
  const text = `  ${attempt.number}  ${attempt.outcome.padEnd(9)}  ${clockOf(attempt.started)}  ${formatMs(attempt.duration_ms).padStart(8)}  ${place}  ${visibleText(why)}`;
  return view.isFull ? text : cutText(text, view.columns);
}

function writeSpans(story: JobStory, view: View): string[] {
  if (story.spans.length === 0) return ["no spans: its workers send no traces, or they have not arrived"];
  const origins = new Set(story.attempts.flatMap((attempt) => attempt.origin_id ?? []));
  return [
    heading(`${countOf(story.counts.spans, "span")}, ${story.counts.failed_spans} failed`, view),
    ...writeSpanTree(story.spans, origins, view),
  ];
}

function writeStoryLines(story: JobStory, view: View): string[] {
  if (story.lines.length === 0) return ["no log records"];
  const { lines: own, neighbours } = story.counts;
  const title = `${countOf(own, "line")} of the job, ${countOf(neighbours, "line")} beside it (·)`;
  const workers = new Set(story.lines.map(workerName));
  // Where all come from one worker the verdict has named it.
  const workerColumns = workers.size > 1 ? columnWidth([...workers], 28) : 0;
  const isOneDay = dayOf(story.from) === dayOf(story.to);
  const lines = story.lines.flatMap((line) => [
    ...(line.gap === undefined ? [] : [view.paint("dim", writeGap(story, line.gap))]),
    writeStoryLine(line, story, workerColumns, isOneDay, view),
  ]);
  return [heading(title, view), view.paint("dim", isOneDay ? dayOf(story.from) : "UTC"), ...lines];
}

/** Never cut to the terminal's width: it is a command to copy. */
function writeGap(story: JobStory, gap: GapJson): string {
  // The range includes both ends; a millisecond more than is missing shows the lines on either side of the gap.
  return `    ... ${countOf(gap.lines, "line")} of the job left out here: ${searchCommand(story.job_id, gap.lines)} --since ${gap.from} --until ${gap.to}`;
}

function searchCommand(jobId: string, lines: number): string {
  const id = visibleText(jobId);
  const term = /^[\w.@-]+$/.test(id) ? `job_id:${id}` : `'job_id:"${id.replaceAll('"', '\\"')}"'`;
  // Room for both ends and for what else is said in the same millisecond.
  return `signalbox logs ${term} --limit ${Math.min(LINES_MAX, lines + 100)}`;
}

/** What the gaps cannot say: spans, neighbours, and where to read everything. */
function writeLeftOut(story: JobStory): string[] {
  if (!story.is_cut) return [];
  const shown = story.lines.filter((line) => line.is_neighbour).length;
  const parts = [
    [story.counts.spans - story.spans.length, "span"],
    [story.counts.lines - (story.lines.length - shown), "line of the job"],
    [story.counts.neighbours - shown, "line beside it"],
  ] as const;
  const missing = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${plural(what, count)}`);
  const what = missing.length > 0 ? missing.join(", ") : "traces beyond the newest 32";
  return [
    `left out above: ${what}. Failures and both ends are shown first; the verdict and the counts are of all.`,
    `  all lines of the job: ${searchCommand(story.job_id, story.counts.lines)}`,
  ];
}

function plural(what: string, count: number): string {
  return count === 1 ? what : what.replace(/^\w+/, "$&s");
}

function writeStoryLine(
  line: StoryLine,
  story: JobStory,
  workerColumns: number,
  isOneDay: boolean,
  view: View,
): string {
  const isOrigin = story.attempts.some((attempt) => attempt.origin_id === line.id);
  const isFailure = line.level === "error" || line.level === "fatal";
  const mark = isOrigin || isFailure ? "✗" : " ";
  const time = isOneDay ? clockOf(line.timestamp) : line.timestamp.slice(0, 23);
  const tries = story.attempts.length > 1 ? ` ${line.attempt ?? " "}` : "";
  const worker = workerColumns === 0 ? "" : ` ${fitText(workerName(line), workerColumns)}`;
  // A neighbour that belongs to another job says to which.
  const job = line.is_neighbour && line.job_id !== undefined ? ` [${visibleText(line.job_id)}]` : "";
  const lead = `${mark}${line.is_neighbour ? "·" : " "} ${time}${tries} ${levelLetter(line.level)}${worker}${job}`;
  return writeLine(lead, line, view, line.is_neighbour ? "dim" : undefined);
}

/** The machine named, its other workers, and whoever does the same work elsewhere, with what failed there. */
function writeMachines(story: JobStory, view: View): string[][] {
  const own = new Set(story.attempts.map(workerName));
  const sections = Array.from(
    Map.groupBy(story.machine_workers, (worker) => worker.machine_id ?? ""),
    ([machine, workers]) => [
      heading(`machine ${visibleText(machine)} in these minutes`, view),
      ...writePeers(workers, (worker) => visibleText(worker.worker_id ?? "the machine itself"), own, view),
    ],
  );
  if (story.peers.length > 0) {
    const types = new Set(story.attempts.flatMap((attempt) => attempt.service_type ?? []));
    const title = `other ${visibleText([...types].join(", "))} workers in these minutes`;
    sections.push([heading(title, view), ...writePeers(story.peers, workerName, own, view)]);
  }
  return sections;
}

/** More are a fleet, which has a page of its own. */
const PEERS_SHOWN_MAX = 12;

function writePeers(
  peers: readonly PeerJson[],
  nameOf: (peer: PeerJson) => string,
  own: ReadonlySet<string>,
  view: View,
): string[] {
  const shown = peers.slice(0, PEERS_SHOWN_MAX);
  const nameColumns = columnWidth(shown.map(nameOf), 36);
  const typeColumns = columnWidth(shown.map(typesOf), 20);
  const lines = shown.map((peer) => {
    const counts = `${countOf(peer.spans, "span")}, ${peer.failed_spans} failed; ${countOf(peer.logs, "line")}, ${countOf(peer.error_logs, "error")}`;
    const ours = own.has(workerName(peer)) ? "  <- this job" : "";
    return cutText(
      `  ${fitText(nameOf(peer), nameColumns)}  ${fitText(typesOf(peer), typeColumns)}  ${counts}${ours}`,
      view.columns,
    );
  });
  return peers.length > shown.length ? [...lines, `  and ${peers.length - shown.length} more`] : lines;
}

function typesOf(peer: PeerJson): string {
  return visibleText(peer.service_types.join(", "));
}
