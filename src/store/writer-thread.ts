/** Entry of the writer thread; started by store.ts. */
import { StoreError } from "./store-error.ts";
import { StoreWriter } from "./store-writer.ts";
import type { WriterReply, WriterRequest } from "./thread-messages.ts";
import { serveThread } from "./thread-server.ts";

let writer: StoreWriter | undefined;

serveThread<WriterRequest, WriterReply>((request) => {
  if (request.kind === "open") writer = StoreWriter.open(request.limits, request.nowMs);
  if (writer === undefined) throw new StoreError("closed", "the store is not open");
  const count = work(writer, request);
  const notes = writer.takeNotes();
  if (request.kind === "close") writer = undefined;
  return { reply: { count, notes } };
});

/** Returns the items that were stored. */
function work(open: StoreWriter, request: WriterRequest): number {
  if (request.kind === "append") return open.append(request.signal, request.bytes, request.arrivalMs);
  if (request.kind === "prune") open.prune(request.nowMs);
  if (request.kind === "set_aside") for (const sequence of request.sequences) open.setAside(sequence);
  if (request.kind === "close") open.close();
  return 0;
}
