import type { Clock } from "../core/clock.ts";
import type { Signal } from "../core/signal.ts";
import type { JsonObject } from "../wire/otlp/json-encode.ts";
import { idOf } from "./dead-letter.ts";
import type { DeadLetter } from "./dead-letter.ts";
import { parseDeadLetterFilter } from "./dead-letter-filter.ts";
import type { DeadLetters, ReplayReport, ReplayTargets } from "./dead-letters.ts";
import type { DeadLetterReason } from "./storage.ts";

/** One dead letter, as commands show it. */
export interface LetterSummary {
  readonly id: string;
  /** When it became one. */
  readonly time: string;
  readonly destination: string;
  readonly signal: Signal;
  readonly items: number;
  readonly bytes: number;
  readonly reason: DeadLetterReason;
  readonly attempts: number;
  readonly message: string;
  readonly admitted: string;
  /** How often it was replayed before it died again. */
  readonly replays: number;
}

/**
 * One line of an export: an OTLP JSON request with the summary beside it. Unknown fields are to be ignored in OTLP JSON
 * (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding), so whatever reads files of such lines can read it.
 */
export interface ExportedLetter extends JsonObject {
  readonly signalbox: LetterSummary & JsonObject;
}

export interface Dropped {
  readonly letters: number;
  readonly items: number;
}

/** What can be done with dead letters from outside; the filters are `key=value` terms, all of which must hold. */
export class DeadLetterDesk {
  readonly #letters: DeadLetters;
  readonly #targets: ReplayTargets;
  readonly #clock: Clock;

  constructor(letters: DeadLetters, targets: ReplayTargets, clock: Clock) {
    this.#letters = letters;
    this.#targets = targets;
    this.#clock = clock;
  }

  async *list(filter: readonly string[]): AsyncGenerator<LetterSummary> {
    for await (const letter of this.#find(filter)) yield summaryOf(letter);
  }

  /** A letter whose bytes are damaged is a line with the reason in place of the request. */
  async *export(filter: readonly string[]): AsyncGenerator<ExportedLetter> {
    for await (const letter of this.#find(filter)) {
      const signalbox = { ...summaryOf(letter) };
      try {
        yield { ...(await this.#letters.read(letter)), signalbox };
      } catch (error) {
        const unreadable = error instanceof Error ? error.message : String(error);
        yield { signalbox: { ...signalbox, unreadable } };
      }
    }
  }

  replay(filter: readonly string[], signal: AbortSignal): Promise<ReplayReport> {
    return this.#letters.replay(this.#parse(filter), this.#targets, signal);
  }

  drop(filter: readonly string[]): Promise<Dropped> {
    return this.#letters.drop(this.#parse(filter));
  }

  #find(filter: readonly string[]): AsyncGenerator<DeadLetter> {
    return this.#letters.find(this.#parse(filter));
  }

  #parse(filter: readonly string[]): ReturnType<typeof parseDeadLetterFilter> {
    return parseDeadLetterFilter(filter, this.#clock.nowMs());
  }
}

function summaryOf(letter: DeadLetter): LetterSummary {
  const { destination, signal, itemCount: items, bytes, admittedUnixMs, mark } = letter;
  const { reason, attempts, message, replays, atUnixMs } = mark;
  const time = new Date(atUnixMs).toISOString();
  const admitted = new Date(admittedUnixMs).toISOString();
  return { id: idOf(letter), time, destination, signal, items, bytes, reason, attempts, message, admitted, replays };
}
