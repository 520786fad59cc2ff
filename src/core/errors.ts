import type { UnreadReason } from "./unread-request.ts";

/**
 * Why a batch was not taken. One table in net/ turns a kind into a gRPC or HTTP answer, and the answers of backends into a kind.
 *
 * | kind | meaning | may the sender try again? |
 * | --- | --- | --- |
 * | refused | we said no for now: no room, shutting down, memory | yes |
 * | retryable | we or a backend broke in a way that passes | yes |
 * | permanent | the data can never be taken as it is | no |
 * | too_large | one request exceeds a bound that no waiting changes | no, but split it |
 * | unauthenticated, forbidden | the sender, or we towards a backend, lack the right | no |
 * | unimplemented | this door or backend does not know the signal | no |
 * | internal | our bug; fails the request, never the process | no |
 */
export type ConsumeErrorKind =
  | "refused"
  | "retryable"
  | "permanent"
  | "too_large"
  | "unauthenticated"
  | "forbidden"
  | "unimplemented"
  | "internal";

const RETRYABLE_KINDS: ReadonlySet<ConsumeErrorKind> = new Set(["refused", "retryable"]);

export interface ConsumeErrorSettings {
  /** How long the other side asked us to wait (RetryInfo, `Retry-After`), in milliseconds. */
  readonly retryAfterMs?: number;
  /** What a door counts the request under that it refuses for this; the kind says it where there is none. */
  readonly reason?: UnreadReason;
  readonly cause?: unknown;
}

/** The only error that crosses a `Consumer`, an `Admission` or a `Sender`. */
export class ConsumeError extends Error {
  override readonly name = "ConsumeError";
  readonly kind: ConsumeErrorKind;
  readonly retryAfterMs: number | undefined;
  readonly reason: UnreadReason | undefined;

  constructor(kind: ConsumeErrorKind, message: string, settings: ConsumeErrorSettings = {}) {
    super(message, settings.cause === undefined ? undefined : { cause: settings.cause });
    this.kind = kind;
    this.retryAfterMs = settings.retryAfterMs;
    this.reason = settings.reason;
  }

  get isRetryable(): boolean {
    return RETRYABLE_KINDS.has(this.kind);
  }

  /**
   * Anything thrown, as a ConsumeError. What is not one already is our bug or a processor's: it becomes `internal`,
   * with its message kept, so that the request fails and the process does not.
   */
  static from(thrown: unknown, context?: string): ConsumeError {
    if (thrown instanceof ConsumeError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new ConsumeError("internal", context === undefined ? message : `${context}: ${message}`, { cause: thrown });
  }
}

/** Several branches failed: the answer is the one that asks least of the sender's data, so permanent wins over retryable. */
export function worstError(errors: readonly ConsumeError[]): ConsumeError | undefined {
  return errors.find((error) => !error.isRetryable) ?? errors[0];
}
