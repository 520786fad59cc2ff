import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/** A proxy as RFC 9110 and 9112 describe it: absolute-form requests are passed on, CONNECT opens a tunnel. */
export class TestProxy {
  /** Request lines: `POST http://...`, `CONNECT host:port`. */
  readonly lines: string[] = [];
  readonly credentials: (string | undefined)[] = [];
  port = 0;
  /** Answered instead of passing on. */
  refuseWith: number | undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer((incoming, response) => this.#passOn(incoming, response));
    this.#server.on("connect", (incoming: IncomingMessage, socket: Socket) => this.#tunnel(incoming, socket));
    this.#server.on("connection", (socket: Socket) => this.#sockets.add(socket));
  }

  static async listen(): Promise<TestProxy> {
    const proxy = new TestProxy();
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    proxy.port = (proxy.#server.address() as AddressInfo).port;
    return proxy;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }

  #note(incoming: IncomingMessage): void {
    this.lines.push(`${incoming.method} ${incoming.url}`);
    this.credentials.push(incoming.headers["proxy-authorization"]);
  }

  #passOn(incoming: IncomingMessage, response: ServerResponse): void {
    this.#note(incoming);
    if (this.refuseWith !== undefined) return void response.writeHead(this.refuseWith).end();
    const { method, headers } = incoming;
    const url = new URL(incoming.url ?? "");
    if (url.hostname.endsWith(".test")) url.hostname = "127.0.0.1";
    const onward = request(url, { method: method ?? "", headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(onward);
  }

  #tunnel(incoming: IncomingMessage, socket: Socket): void {
    this.#note(incoming);
    socket.on("error", () => socket.destroy());
    if (this.refuseWith !== undefined) return void socket.end(`HTTP/1.1 ${this.refuseWith} No\r\n\r\n`);
    const [host = "", port = ""] = (incoming.url ?? "").split(":");
    // Only the proxy knows where these names lead.
    const address = host.endsWith(".test") ? "127.0.0.1" : host;
    const onward = connect(Number(port), address, () => socket.write("HTTP/1.1 200 Connection established\r\n\r\n"));
    onward.on("error", () => socket.destroy());
    socket.pipe(onward);
    onward.pipe(socket);
  }
}
