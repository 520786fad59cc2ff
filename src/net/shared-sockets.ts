import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { SocketTakenError } from "../core/listening.ts";
import type { ListeningSockets, SocketClaim } from "../core/listening.ts";

/** One listening socket, and the server that its connections go to. */
interface SharedSocket {
  readonly key: string;
  readonly acceptor: Server;
  owner: string;
  /** undefined before the end of the reload that opened the socket. */
  current: Server | undefined;
  /** Who has it from the end of the reload on. */
  next: { readonly server: Server; readonly owner: string } | undefined;
  /** Came before there was a current one. */
  readonly held: Set<Socket>;
}

/**
 * Accepts for all doors, each of which is a server that does not listen itself. node:http and node:tls say of their
 * servers that connections may be handed to them by emitting "connection".
 */
export class SharedSockets implements ListeningSockets {
  readonly #sockets = new Map<string, SharedSocket>();
  /** Of each server that has or had a socket: the connections it was given. */
  readonly #connections = new Map<Server, Set<Socket>>();
  #leavers: ReadonlySet<string> | undefined;

  /** Until endHandover(), whoever attaches waits; and what belongs to these owners may be claimed. */
  beginHandover(leavers: ReadonlySet<string>): void {
    this.#leavers = leavers;
  }

  /** Those who wait have their sockets now. Where the reload has failed, detach them before: then nothing changes. */
  endHandover(): void {
    this.#leavers = undefined;
    for (const shared of this.#sockets.values()) {
      if (shared.next === undefined) continue;
      shared.current = shared.next.server;
      shared.owner = shared.next.owner;
      shared.next = undefined;
      for (const socket of shared.held) this.#give(socket, shared.current);
      shared.held.clear();
    }
  }

  async attach(server: Server, claim: SocketClaim): Promise<Server> {
    const known = this.#sockets.get(claim.key);
    const shared = known ?? (await this.#open(claim));
    const isFree = known === undefined || (this.#leavers?.has(known.owner) === true && known.next === undefined);
    if (!isFree) throw new SocketTakenError(claim, known.owner);
    this.#connections.set(server, new Set());
    // node:http begins to watch the timeouts of its connections when it listens.
    server.emit("listening");
    if (this.#leavers === undefined) shared.current = server;
    else shared.next = { server, owner: claim.owner };
    return shared.acceptor;
  }

  async detach(server: Server): Promise<void> {
    for (const shared of this.#sockets.values()) {
      if (shared.next?.server === server) shared.next = undefined;
      else if (shared.current === server) shared.current = undefined;
      else continue;
      if (shared.current === undefined && shared.next === undefined) this.#close(shared);
    }
    const connections = this.#connections.get(server);
    if (connections === undefined) return;
    await Promise.all([...connections].map((socket) => closed(socket)));
    this.#connections.delete(server);
  }

  async #open(claim: SocketClaim): Promise<SharedSocket> {
    const acceptor = createServer();
    const { key, owner } = claim;
    const shared: SharedSocket = { key, acceptor, owner, current: undefined, next: undefined, held: new Set() };
    acceptor.on("connection", (socket) => this.#onConnection(socket, shared));
    await claim.bind(acceptor);
    this.#sockets.set(key, shared);
    return shared;
  }

  #onConnection(socket: Socket, shared: SharedSocket): void {
    if (shared.current !== undefined) return this.#give(socket, shared.current);
    shared.held.add(socket);
    socket.on("error", ignore);
    socket.once("close", () => shared.held.delete(socket));
  }

  #give(socket: Socket, server: Server): void {
    const connections = this.#connections.get(server);
    connections?.add(socket);
    socket.once("close", () => connections?.delete(socket));
    // What a server asks of its sockets, net.Server gives to those that it accepts itself.
    socket.allowHalfOpen = Reflect.get(server, "allowHalfOpen") === true;
    if (Reflect.get(server, "noDelay") === true) socket.setNoDelay(true);
    socket.off("error", ignore);
    server.emit("connection", socket);
  }

  #close(shared: SharedSocket): void {
    this.#sockets.delete(shared.key);
    shared.acceptor.close();
    for (const socket of shared.held) socket.destroy();
  }
}

/** A connection that breaks while nobody has it yet is nobody's news. */
function ignore(): void {}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}
