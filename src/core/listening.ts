import type { Server } from "node:net";

/** A place to listen at, and who wants to. */
export interface SocketClaim {
  /** The same for the same place: "127.0.0.1:4317", the path of a Unix socket. */
  readonly key: string;
  /** The component as it stands in the YAML, `receivers.otlp`. */
  readonly owner: string;
  /** Makes the server listen there. Called where nobody does yet. */
  bind(acceptor: Server): Promise<void>;
}

/**
 * The listening sockets of the gateway. They belong to the service and not to the component that listens: a reload that
 * changes a receiver makes another one, to which the socket passes with whoever is just about to connect.
 */
export interface ListeningSockets {
  /**
   * Connections to this place become "connection" events of `server`, from now on or, during a reload, from its end on.
   * Resolves with the server that really listens. Rejects with what bind() says, or with SocketTakenError.
   */
  attach(server: Server, claim: SocketClaim): Promise<Server>;
  /**
   * No more connections go to `server`; its socket is closed unless another has it. Resolves once those that it was given
   * are closed. Idempotent, and legal for one that was never attached.
   */
  detach(server: Server): Promise<void>;
}

/** Another component of this gateway listens there and goes on to. */
export class SocketTakenError extends Error {
  override readonly name = "SocketTakenError";
  readonly owner: string;

  constructor({ key }: SocketClaim, owner: string) {
    super(`${key} belongs to ${owner}`);
    this.owner = owner;
  }
}
