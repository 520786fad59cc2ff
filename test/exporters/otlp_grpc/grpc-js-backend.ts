import { type handleUnaryCall, Server, ServerCredentials, type ServerOptions } from "@grpc/grpc-js";
import { SIGNALS, type Signal } from "../../../src/core/signal.ts";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";

export type Handler = handleUnaryCall<Buffer, Buffer>;

/** The server that half of the ecosystem runs: grpc-js, with its own defaults where a test says nothing else. */
export class GrpcJsBackend {
  readonly requests: { readonly signal: Signal; readonly bytes: Buffer }[] = [];
  handle: Handler = (_call, callback) => callback(null, Buffer.alloc(0));
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async listen(
    options: ServerOptions = {},
    signals: readonly Signal[] = SIGNALS,
    address = "127.0.0.1:0",
  ): Promise<GrpcJsBackend> {
    const server = new Server(options);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const backend = new GrpcJsBackend(server, port);
    for (const signal of signals) backend.#serve(signal);
    return backend;
  }

  close(): void {
    this.#server.forceShutdown();
  }

  #serve(signal: Signal): void {
    const method = {
      path: OTLP_METHODS[signal],
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    };
    const handler: Handler = (call, callback) => {
      this.requests.push({ signal, bytes: call.request });
      this.handle(call, callback);
    };
    this.#server.addService({ export: method }, { export: handler });
  }
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
