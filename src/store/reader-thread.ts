/** Entry of a reader thread; started by reader-pool.ts with the store's folder as its data. */
import { workerData } from "node:worker_threads";
import { answerApi } from "./api-routes.ts";
import { StoreReader } from "./store-reader.ts";
import type { ReaderReply, ReaderRequest } from "./thread-messages.ts";
import { serveThread } from "./thread-server.ts";

// The thread has no Clock: its one use of time is how long a query runs.
const reader = new StoreReader(String(workerData), () => performance.now());

serveThread<ReaderRequest, ReaderReply>((message) => {
  if (message.kind === "refresh") {
    reader.refresh();
    return { reply: { damaged: [] } };
  }
  const answer = answerApi(reader, message.request);
  // TextEncoder gives a buffer of its own, so transferring it takes nothing else along.
  return { reply: { answer, damaged: reader.damaged }, transfer: [answer.body.buffer as ArrayBuffer] };
});
