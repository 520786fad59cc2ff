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

function work(open: StoreWriter, request: WriterRequest): number {
  switch (request.kind) {
    case "open":
      return 0;
    case "append":
      return open.append(request.signal, request.bytes, request.arrivalMs);
    case "prune":
      open.prune(request.nowMs);
      return 0;
    case "set_aside":
      for (const sequence of request.sequences) open.setAside(sequence);
      return 0;
    case "close":
      open.close();
      return 0;
  }
}
