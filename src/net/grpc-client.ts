/** A unary gRPC call towards a backend, whichever client makes it. */
export interface GrpcCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Not compressed. */
  readonly message: Buffer;
  /** What the backend is told, and what the call may take; 0 for none. */
  readonly timeoutMs: number;
}

export interface GrpcReply {
  readonly code: number;
  readonly details: string;
  /** grpc-status-details-bin. */
  readonly statusBytes?: Uint8Array;
  /** The answer's message; present with code OK only. */
  readonly message?: Buffer;
  /** Headers came before the status, so that what failed may have failed while the answer's message was read. */
  readonly hasHeaders: boolean;
  /** The backend said something, if only a refusal. */
  readonly isAnswered: boolean;
}

export interface GrpcClient {
  /** Never rejects: whatever happens is a reply with a code. Aborting cancels the call, which the backend sees. */
  call(call: GrpcCall, signal: AbortSignal): Promise<GrpcReply>;
  /** Calls under way go on to their end. */
  close(): void;
}

/**
 * Attempts in a row that may end without a sign of the backend before the connection is replaced. A connection whose
 * peer vanished without a word (a lost node, a NAT that forgot it) stays open in TCP's eyes for a quarter of an hour,
 * and every request on it would time out. If the backend is only slow, this costs one connection per wave of timeouts.
 */
export const SILENT_CALLS_MAX = 2;
