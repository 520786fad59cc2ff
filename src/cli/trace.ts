import type { TraceRecords } from "../store/trace.ts";
import { EXIT_FAILED, EXIT_OK } from "./io.ts";
import type { CliIo } from "./io.ts";
import { countOf, workerName, writeLines } from "./record-view.ts";
import { writeSpanTree } from "./span-view.ts";
import type { StoreClient } from "./store-client.ts";
import { runStoreCommand } from "./store-command.ts";
import { oneWord } from "./store-options.ts";
import type { StoreOptions } from "./store-options.ts";
import { createPaint, readColumns, visibleJson } from "./terminal-text.ts";

const USAGE = `signalbox trace TRACE_ID [--json]
  --json prints the trace as OTLP JSON`;

/** `signalbox trace`: its spans as a tree, then its log records. */
export function runTraceCommand(args: readonly string[], io: CliIo): Promise<number> {
  return runStoreCommand({ name: "trace", usage: USAGE, ownOptions: [], run: showTrace }, args, io);
}

async function showTrace(client: StoreClient, options: StoreOptions, io: CliIo): Promise<number> {
  const path = `/api/traces/${encodeURIComponent(oneWord(options, "TRACE_ID"))}`;
  return options.isJson ? printOtlp(client, path, io) : printTrace(client, path, options, io);
}

async function printOtlp(client: StoreClient, path: string, io: CliIo): Promise<number> {
  const otlp = await client.ask<unknown>(path);
  if (otlp === undefined) return EXIT_FAILED;
  io.stdout(`${visibleJson(otlp, 2)}\n`);
  return EXIT_OK;
}

async function printTrace(client: StoreClient, path: string, options: StoreOptions, io: CliIo): Promise<number> {
  const trace = await client.ask<TraceRecords>(path, { format: "records" });
  if (trace === undefined) return EXIT_FAILED;
  const view = { columns: readColumns(io.env), isFull: options.isFull, paint: createPaint(io.isTty, io.env) };
  const failed = trace.spans.filter((span) => span.status === "error").length;
  const spanCount = trace.spans.length + trace.left_out.spans;
  const logCount = trace.logs.length + trace.left_out.logs;
  const counts = `${countOf(spanCount, "span")}, ${failed} failed; ${countOf(logCount, "log record")}${writeWorker(trace)}`;
  const lines = [view.paint("bold", `trace ${trace.trace_id}`), counts, ""];
  if (trace.spans.length > 0) lines.push(...writeSpanTree(trace.spans, undefined, view), "");
  lines.push(...writeLines(trace.logs, view));
  if (trace.is_cut) lines.push("", writeLeftOut(trace));
  io.stdout(`${lines.join("\n").trimEnd()}\n`);
  return EXIT_OK;
}

function writeLeftOut({ trace_id, left_out }: TraceRecords): string {
  const counts = `${countOf(left_out.spans, "span")} and ${countOf(left_out.logs, "log record")}`;
  return `${counts} left out here: failures, the beginning and the end come first; signalbox logs trace_id:${trace_id}`;
}

/** Where all spans come from one worker, their tree does not repeat it. */
function writeWorker(trace: TraceRecords): string {
  const workers = new Set(trace.spans.map(workerName));
  const [only = ""] = workers;
  return workers.size === 1 && only !== "" ? `; on ${only}` : "";
}
