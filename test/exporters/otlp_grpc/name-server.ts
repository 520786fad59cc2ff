import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

const TYPE_A = 1;
const HEADER_BYTES = 12;

/** Answers every question for IPv4 addresses with those it was given, as RFC 1035 lays it out; others with nothing. */
export class NameServer {
  /** Questions for IPv4 addresses so far. */
  askedCount = 0;
  addresses: readonly string[];
  port = 0;
  readonly #socket: Socket;

  private constructor(addresses: readonly string[]) {
    this.addresses = addresses;
    this.#socket = createSocket("udp4");
    this.#socket.on("message", (question, { port, address }) => {
      this.#socket.send(this.#answer(question), port, address);
    });
  }

  static async listen(addresses: readonly string[]): Promise<NameServer> {
    const server = new NameServer(addresses);
    server.#socket.bind(0, "127.0.0.1");
    await once(server.#socket, "listening");
    server.port = server.#socket.address().port;
    return server;
  }

  close(): void {
    this.#socket.close();
  }

  #answer(question: Buffer): Buffer {
    let end = HEADER_BYTES;
    while (question[end] !== 0) end += question[end]! + 1;
    const type = question.readUInt16BE(end + 1);
    const asked = question.subarray(HEADER_BYTES, end + 5);
    const addresses = type === TYPE_A ? this.addresses : [];
    if (type === TYPE_A) this.askedCount += 1;
    const header = Buffer.alloc(HEADER_BYTES);
    question.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    return Buffer.concat([header, asked, ...addresses.map(recordOf)]);
  }
}

/** A pointer to the question's name, type A, class IN, a TTL of 1 s, 4 bytes of address. */
function recordOf(address: string): Buffer {
  const head = Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 1, 0, 4]);
  return Buffer.concat([head, Buffer.from(address.split(".").map(Number))]);
}
