import type { JobStory } from "../store/job-story.ts";
import { EXIT_FAILED, EXIT_OK } from "./io.ts";
import type { CliIo } from "./io.ts";
import { writeStory } from "./story-view.ts";
import type { StoreClient } from "./store-client.ts";
import { runStoreCommand } from "./store-command.ts";
import { oneWord } from "./store-options.ts";
import type { StoreOptions } from "./store-options.ts";
import { createPaint, readColumns, visibleJson } from "./terminal-text.ts";

const USAGE = "signalbox job JOB_ID [--json]";

/** `signalbox job`: the verdict, then the job in time order with what its worker said around it. */
export function runJobCommand(args: readonly string[], io: CliIo): Promise<number> {
  return runStoreCommand({ name: "job", usage: USAGE, ownOptions: [], run: showJob }, args, io);
}

async function showJob(client: StoreClient, options: StoreOptions, io: CliIo): Promise<number> {
  const story = await client.ask<JobStory>(`/api/jobs/${encodeURIComponent(oneWord(options, "JOB_ID"))}`);
  if (story === undefined) return EXIT_FAILED;
  const view = { columns: readColumns(io.env), isFull: options.isFull, paint: createPaint(io.isTty, io.env) };
  io.stdout(`${options.isJson ? visibleJson(story, 2) : writeStory(story, view).join("\n")}\n`);
  return EXIT_OK;
}
