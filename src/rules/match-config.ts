import { z } from "zod";
import { block, literal } from "../config/types.ts";

const texts = z.array(z.string()).default([]);

const keyValue = block({
  key: z.string().default("").describe("The attribute that must be there."),
  value: literal().describe(
    "What it must be: equal and of the same type, or with regexp a pattern. Left out: anything.",
  ),
});

/**
 * Which records, as the Collector's `include` and `exclude` say it. All that is written must hold; of `services`,
 * `span_names` and the other lists of texts one entry has to, of `attributes`, `resources` and `libraries` each.
 */
export const matchConfig = block({
  match_type: z
    .string()
    .default("")
    .describe("How texts are compared: `strict` or `regexp`; `expr` for metrics is read and has no effect."),
  regexp: block({
    cacheenabled: z.boolean().default(false).describe("Remember the answers for texts that repeat."),
    cachemaxnumentries: z.int().min(0).default(0).describe("How many are remembered, at most 10,000; 0: that many."),
  })
    .optional()
    .describe("With match_type regexp."),
  services: texts.describe("Spans: `service.name` of the resource."),
  span_names: texts.describe("Spans: the name."),
  span_kinds: texts.describe("Spans: the kind, as `SPAN_KIND_SERVER`."),
  log_bodies: texts.describe("Logs: the body as text; a structure as JSON."),
  log_severity_texts: texts.describe("Logs: the severity text."),
  log_severity_number: block({
    min: z.int().default(0).describe("The lowest severity number."),
    match_undefined: z.boolean().default(false).describe("Whether a record without a severity number matches."),
  })
    .optional()
    .describe("Logs: the severity number."),
  metric_names: texts.describe("Metrics: the name."),
  attributes: z.array(keyValue).default([]).describe("Spans and logs: attributes of the record."),
  resources: z
    .array(keyValue)
    .default([])
    .describe(
      "Spans and logs: attributes of the resource. For metrics it is read and has no effect, as in the Collector.",
    ),
  libraries: z
    .array(
      block({
        name: z.string().default("").describe("The scope's name."),
        version: z.string().optional().describe("The scope's version; left out: any."),
      }),
    )
    .default([])
    .describe("Spans and logs: the instrumentation scope."),
});

export type MatchConfig = z.output<typeof matchConfig>;
