import { inspect } from "node:util";

export const REDACTED = "[REDACTED]";

/**
 * A token, a password, a header value. Whatever prints it by accident (a template, JSON, util.inspect, an error's
 * fields) prints [REDACTED]; only reveal() gives the text, so one search finds every place that uses one.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Only for handing it to the other side: an outgoing header, a comparison. Never for a message. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
