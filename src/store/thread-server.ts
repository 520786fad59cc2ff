import { parentPort } from "node:worker_threads";
import type { Transferable } from "node:worker_threads";
import { StoreError } from "./store-error.ts";
import type { Envelope, Outcome } from "./thread-messages.ts";

export interface Handled<Reply> {
  readonly reply: Reply;
  readonly transfer?: readonly Transferable[];
}

export type Handler<Request, Reply> = (request: Request) => Handled<Reply>;

/** Answers the envelopes of the thread that started this one, one after another. What `handle` throws goes back as an error. */
export function serveThread<Request, Reply>(handle: Handler<Request, Reply>): void {
  const port = parentPort;
  if (port === null) throw new Error("this file is the entry of a worker thread");
  port.on("message", ({ id, request }: Envelope<Request>) => {
    try {
      const { reply, transfer = [] } = handle(request);
      port.postMessage({ id, reply } satisfies Outcome<Reply>, transfer);
    } catch (error) {
      port.postMessage({ id, error: describeError(error) } satisfies Outcome<Reply>);
    }
  });
}

function describeError(error: unknown): { kind: StoreError["kind"]; message: string } {
  if (error instanceof StoreError) return { kind: error.kind, message: error.message };
  return { kind: "internal", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
