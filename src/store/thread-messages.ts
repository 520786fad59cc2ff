import type { Signal } from "../core/signal.ts";
import type { ApiAnswer } from "./api-error.ts";
import type { ApiRequest } from "./api-routes.ts";
import type { StoreLimits, WriterNotes } from "./store-writer.ts";
import type { StoreErrorKind } from "./store-error.ts";

/** What goes between the gateway's thread and those of the store. One request at a time is worked on; each gets one reply. */

export interface Envelope<Request> {
  readonly id: number;
  readonly request: Request;
}

export type Outcome<Reply> =
  | { readonly id: number; readonly reply: Reply }
  | { readonly id: number; readonly error: { readonly kind: StoreErrorKind; readonly message: string } };

export type WriterRequest =
  | { readonly kind: "open"; readonly limits: StoreLimits; readonly nowMs: number }
  /** `bytes` is transferred, not copied: the sender must own its whole buffer, and loses it. */
  | { readonly kind: "append"; readonly signal: Signal; readonly bytes: Uint8Array; readonly arrivalMs: number }
  | { readonly kind: "prune"; readonly nowMs: number }
  | { readonly kind: "set_aside"; readonly sequences: readonly number[] }
  | { readonly kind: "close" };

export interface WriterReply {
  /** Items stored by an append, else 0. */
  readonly count: number;
  readonly notes: WriterNotes;
}

export type ReaderRequest = { readonly kind: "ask"; readonly request: ApiRequest } | { readonly kind: "refresh" };

export interface ReaderReply {
  /** Absent for a refresh. Its body is transferred. */
  readonly answer?: ApiAnswer;
  readonly damaged: readonly number[];
}
