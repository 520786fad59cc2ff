import type { Transport } from "./client-metadata.ts";

/**
 * Why a door refused a request before anybody had counted its items.
 *
 * | reason | what was wrong |
 * | --- | --- |
 * | memory | memory pressure: at once above the hard limit, or no better before the sender's time was over |
 * | bytes_in_flight | no room in the bytes that all requests may have together, before the sender's time was over |
 * | waiting_requests | the requests that wait for that room hold too much themselves |
 * | large_requests | other large requests had the turn until the sender's time was over |
 * | deadline | the sender's own time was over while its request waited or came in |
 * | shutting_down | the gateway stops |
 * | too_large | the size that it declares, or inflates to, is over the limit |
 * | too_slow | its body came too slowly |
 * | request_head | a header that the method or path does not take |
 * | content_coding | a coding that is not taken, or broken |
 * | protocol | not one message, or one with a wrong flag |
 * | internal | our bug |
 */
export type UnreadReason =
  | "memory"
  | "bytes_in_flight"
  | "waiting_requests"
  | "large_requests"
  | "deadline"
  | "shutting_down"
  | "too_large"
  | "too_slow"
  | "request_head"
  | "content_coding"
  | "protocol"
  | "internal";

/** A request that a door refused unread. A sender that has gone by itself was not refused. */
export interface UnreadRequest {
  readonly reason: UnreadReason;
  /** As its headers declare, or the length before its message; 0 where they do not say. */
  readonly bytes: number;
}

export interface UnreadRefusal extends UnreadRequest {
  /** The component's id, as in the YAML: `otlp/edge`. */
  readonly receiver: string;
  readonly transport: Transport;
}
