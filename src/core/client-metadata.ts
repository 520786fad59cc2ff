/** How a request came in; the value of the `transport` label of receiver metrics. */
export type Transport = "grpc" | "http" | "tcp" | "unix" | "internal";

/**
 * What is known of the sender of a batch, fixed at the door. Header names are lower case.
 * Headers may hold secrets: nothing prints them.
 */
export class ClientMetadata {
  readonly transport: Transport;
  /** The peer's address without port, or "" where there is none. */
  readonly address: string;
  /** Whether exporters may pass the headers on (`include_metadata` of the receiver); processors may always read them. */
  readonly isForwardable: boolean;
  readonly #headers: ReadonlyMap<string, readonly string[]>;

  constructor(
    transport: Transport,
    address: string,
    headers: ReadonlyMap<string, readonly string[]> = new Map(),
    isForwardable = false,
  ) {
    this.transport = transport;
    this.address = address;
    this.isForwardable = isForwardable;
    this.#headers = headers;
  }

  /** All values of a header, by name in any case; empty where the sender did not send it. */
  get(name: string): readonly string[] {
    return this.#headers.get(name.toLowerCase()) ?? [];
  }

  /** The first value of a header, for those that are sent once. */
  first(name: string): string | undefined {
    return this.get(name)[0];
  }

  names(): Iterable<string> {
    return this.#headers.keys();
  }

  static readonly internal = new ClientMetadata("internal", "");
}
