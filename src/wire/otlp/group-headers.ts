import { canonicalHeader } from "./canonical.ts";

/** The fields of a group without its children. */
export interface GroupHeader {
  readonly bytes: Uint8Array;
  /** Equal exactly where two groups may become one. */
  readonly key: string;
}

const HEADERS_MAX = 128;
const TEXT_MAX = 4096;

/**
 * Requests of the same senders have the same groups, so the headers that were made last are kept from request to request.
 * What they hold comes from data: few are kept, and none beyond a few kilobytes.
 */
export class GroupHeaders {
  readonly #attributes: number;
  readonly #headers = new Map<string, GroupHeader>();

  /** `attributes`: field number of the attributes in the message that the header holds. */
  constructor(attributes: number) {
    this.#attributes = attributes;
  }

  /** `text` says all that the header is made of. */
  get(text: string, make: () => Uint8Array): GroupHeader {
    const known = this.#headers.get(text);
    if (known !== undefined) return known;
    const bytes = make();
    const header = { bytes, key: canonicalHeader(bytes, this.#attributes) };
    if (text.length <= TEXT_MAX) this.#keep(text, header);
    return header;
  }

  #keep(text: string, header: GroupHeader): void {
    if (this.#headers.size >= HEADERS_MAX) this.#headers.delete(this.#headers.keys().next().value ?? "");
    this.#headers.set(text, header);
  }
}
