import { z } from "zod";
import { block, duration } from "./types.ts";

/** The one block that the Collector does not have. A Collector refuses it, so it stands alone and is easily taken out. */
export const signalboxConfig = block({
  processors: z
    .array(z.string().min(1))
    .default([])
    .describe("Folders with processors written in TypeScript, relative to this file."),
  watch: z
    .boolean()
    .default(true)
    .describe("Whether `signalbox run` reloads when a file of the configuration changes; SIGHUP reloads in any case."),
  shutdown_timeout: duration({ default: "8s" }).describe(
    "How long a shutdown may take to drain what is on its way; Docker kills after 10 s.",
  ),
});

export type SignalboxConfig = z.output<typeof signalboxConfig>;
