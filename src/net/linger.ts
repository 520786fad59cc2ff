import type { IncomingMessage } from "node:http";
import type { Clock, Timer } from "../core/clock.ts";

export interface LingerSettings {
  readonly clock: Clock;
  /** How long a sender may be silent. */
  readonly lingerMs: number;
  /** For all that still comes. */
  readonly bodyMs: number;
  readonly closesAfterwards: boolean;
}

/**
 * The sender of an answered request is still sending a body that nobody wants. Closed now, it would see a reset in place
 * of the answer, so its connection stays while something comes; node:http throws the bytes away meanwhile.
 */
export function linger(request: IncomingMessage, settings: LingerSettings): void {
  const { clock, lingerMs, bodyMs, closesAfterwards } = settings;
  const { socket } = request;
  const endMs = clock.monotonicMs() + bodyMs;
  let { bytesRead } = socket;
  const look = (): void => {
    if (request.complete) return;
    const isSilent = socket.bytesRead === bytesRead;
    bytesRead = socket.bytesRead;
    if (isSilent || clock.monotonicMs() >= endMs) socket.destroy();
    else timer = clock.after(lingerMs, look);
  };
  let timer: Timer = clock.after(lingerMs, look);
  const cancel = (): void => timer.cancel();
  socket.once("close", cancel);
  request.once("end", () => {
    cancel();
    socket.off("close", cancel);
    if (closesAfterwards) socket.end();
  });
}
