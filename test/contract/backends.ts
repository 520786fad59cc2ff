import { once } from "node:events";
import { readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import type { ServerHttp2Stream } from "node:http2";
import { answerOk, answerStatus, Http2Backend, type ReceivedCall } from "../exporters/otlp_grpc/http2-backend.ts";
import type { BackendMood, ContractBackend } from "./contract.ts";
import type { Stage } from "./stage.ts";

const UNAVAILABLE = 14;

/** A gRPC backend on bare HTTP/2. */
export async function openGrpcBackend(stage: Stage): Promise<ContractBackend & { readonly endpoint: string }> {
  const server = await Http2Backend.listen();
  stage.onEnd(() => server.close());
  const backend = {
    endpoint: `127.0.0.1:${server.port}`,
    arrived: () => server.calls.length,
    mood: "takes" as BackendMood,
  };
  server.answer = (stream, call) => answerGrpc(backend.mood, stream, call);
  return backend;
}

function answerGrpc(mood: BackendMood, stream: ServerHttp2Stream, call: ReceivedCall): void {
  switch (mood) {
    case "takes":
      return answerOk()(stream, call);
    case "refuses":
      return answerStatus(UNAVAILABLE, "not now")(stream, call);
    case "garbles":
      stream.respond({ ":status": 200, "content-type": "text/html" });
      stream.end("<html>welcome</html>");
      return;
    case "breaks":
      return call.session.destroy();
    case "hangs":
      return;
  }
}

export async function openHttpBackend(stage: Stage): Promise<ContractBackend & { readonly endpoint: string }> {
  const sockets = new Set<Socket>();
  let arrived = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.once("end", () => {
      arrived += 1;
      if (backend.mood === "takes") response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
      if (backend.mood === "refuses") response.writeHead(503).end("not now");
      if (backend.mood === "garbles") response.writeHead(302, { location: "/welcome" }).end("<html>");
      if (backend.mood === "breaks") request.socket.destroy();
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const backend = { endpoint: `http://127.0.0.1:${port}`, arrived: () => arrived, mood: "takes" as BackendMood };
  stage.onEnd(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  });
  return backend;
}

/** What has been written below a folder, in bytes. */
export function folderBackend(folder: string): ContractBackend {
  return { mood: "takes", arrived: () => bytesIn(folder) };
}

function bytesIn(folder: string): number {
  const entries =
    statSync(folder, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(folder, { recursive: true });
  // Files come and go while the store works; one that has just gone counts for nothing.
  return entries.reduce(
    (sum, name) => sum + (statSync(join(folder, String(name)), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}
