import type { Attributes } from "../wire/otlp/types.ts";

/**
 * The standard record's `source`: stdout, stderr, file, http, otlp. What the sender says, else the stream it was printed
 * to. The gateway's own doors for anything else than OTLP write it, so a record without one came over OTLP.
 */
export function logSource(attributes: Attributes): string {
  return attributes.getString("source") ?? attributes.getString("log.iostream") ?? "otlp";
}
