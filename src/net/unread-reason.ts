import type { ConsumeError } from "../core/errors.ts";
import type { UnreadReason } from "../core/unread-request.ts";

/** What a door counts a request under that it refuses for `error` before a handler had its message. */
export function unreadReason({ reason, kind }: ConsumeError): UnreadReason {
  if (reason !== undefined) return reason;
  if (kind === "too_large") return "too_large";
  if (kind === "refused") return "bytes_in_flight";
  // The data is looked at by nobody here but for its coding.
  return kind === "permanent" ? "content_coding" : "internal";
}
