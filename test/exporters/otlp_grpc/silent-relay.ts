import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Passes bytes on until silence() is called; from then on the connections of that time swallow everything, open as ever. */
export class SilentRelay {
  connectionCount = 0;
  readonly #pairs: [Socket, Socket][] = [];
  readonly #server: Server;
  port = 0;

  private constructor(targetPort: number) {
    this.#server = createServer((socket) => {
      this.connectionCount += 1;
      const target = connect(targetPort, "127.0.0.1");
      for (const end of [socket, target]) end.on("error", () => end.destroy());
      socket.pipe(target);
      target.pipe(socket);
      this.#pairs.push([socket, target]);
    });
  }

  static async listen(targetPort: number): Promise<SilentRelay> {
    const relay = new SilentRelay(targetPort);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    relay.port = (relay.#server.address() as AddressInfo).port;
    return relay;
  }

  silence(): void {
    for (const [socket, target] of this.#pairs) {
      socket.unpipe(target);
      target.unpipe(socket);
      socket.resume();
    }
  }

  close(): void {
    for (const end of this.#pairs.flat()) end.destroy();
    this.#server.close();
  }
}
