import type { DoorSender } from "../core/component.ts";
import type { GrpcDoorSettings } from "./grpc-door.ts";
import type { Http2Bounds, UnleasedBytes } from "./http2-bounds.ts";
import type { Http2Call } from "./http2-call.ts";

/** What a call needs of its connection and its door. */
export interface Http2CallHost {
  readonly settings: GrpcDoorSettings;
  readonly bounds: Http2Bounds;
  readonly unleased: UnleasedBytes;
  readonly sender: DoorSender;
  /** The peer's, without port. */
  readonly address: string;
  /** Called once at most, before anything of the answer is written. */
  onAnswering(): void;
  /** Called once, when the stream is gone. */
  onCallClosed(call: Http2Call): void;
}
