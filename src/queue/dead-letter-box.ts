import type { Logger } from "../core/logger.ts";
import type { Counter, Meter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";
import { sendingQueueSchema, type DeadLettersConfig } from "./config.ts";
import { idOf } from "./dead-letter.ts";
import type { DeadLetter } from "./dead-letter.ts";
import type { Ledger } from "./ledger.ts";
import type { LettersAccount } from "./letters-account.ts";
import type { DeadLetterReason, EntryRef, LedgerDelta } from "./storage.ts";

export interface DeadLetterBoxSettings {
  readonly destination: string;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly ledger: Pick<Ledger, "letters">;
}

/** Room for one letter that is not written yet, and the letters that leave for it. */
export interface LetterRoom {
  readonly bytes: number;
  readonly evicted: readonly DeadLetter[];
}

const EXPIRED: readonly DeadLetterReason[] = ["retries_ended", "too_old"];

/** Of a destination that is in no configuration: those of `dead_letters` where the YAML does not say. */
const BOUNDS_OF_UNCONFIGURED = sendingQueueSchema.parse({}).dead_letters;

/**
 * The dead letters of one destination, over its signals and through reloads: which there are, in which order they came,
 * and the bound over them. It holds no payloads.
 *
 * A letter comes in two steps, as everything does that is written: takeRoom(), then add() or giveBack().
 */
export class DeadLetterBox {
  readonly destination: string;
  readonly #settings: DeadLetterBoxSettings;
  /** Oldest first. */
  #letters = new Map<string, DeadLetter>();
  /** Of letters, and of room that is taken. */
  #bytes = 0;
  #count = 0;
  #config: DeadLettersConfig | undefined;
  #isEvicting = false;

  constructor(settings: DeadLetterBoxSettings) {
    this.destination = settings.destination;
    this.#settings = settings;
    const { meter, destination } = settings;
    const gauge = (name: string, unit: string, description: string, read: () => number): void =>
      meter.observableGauge(`signalbox_dead_${name}`, { exporter: destination }, { description, unit }, read);
    gauge("letters", "{letters}", "Number of dead letters in the storage.", () => this.#letters.size);
    gauge("letter_bytes", "By", "Size of the dead letters in the storage.", () => this.#bytes);
  }

  /** undefined: nothing new is kept; what is there stays until it is replayed or dropped. */
  configure(config: DeadLettersConfig | undefined): void {
    this.#config = config;
  }

  keeps(reason: DeadLetterReason): boolean {
    if (this.#config === undefined) return false;
    if (reason === "partial_success") return this.#config.partial_success;
    if (reason === "rejected") return this.#config.rejected;
    return EXPIRED.includes(reason) ? this.#config.expired : true;
  }

  /** undefined: the bound is reached and its policy, or the letter's size, leaves no room. */
  takeRoom(bytes: number): LetterRoom | undefined {
    if (this.#config === undefined) return undefined;
    const { max_size: bytesMax, max_count: countMax, when_full: policy } = this.#config;
    const fits = (): boolean => this.#bytes + bytes <= bytesMax && this.#count < countMax;
    if (bytes > bytesMax || (policy === "drop_newest" && !fits())) return undefined;
    const evicted: DeadLetter[] = [];
    while (!fits()) {
      const [oldest] = this.#letters.values();
      // What is being written or replayed cannot leave.
      if (oldest === undefined) break;
      this.#remove(oldest);
      evicted.push(oldest);
    }
    const isRoom = fits();
    this.#bytes += isRoom ? bytes : 0;
    this.#count += isRoom ? 1 : 0;
    if (isRoom) return { bytes, evicted };
    this.restore(evicted);
    return undefined;
  }

  /** For one that a command makes: no other leaves for it, and it needs no `dead_letters` of a configuration. */
  takeFreeRoom(bytes: number): LetterRoom | undefined {
    const { max_size: bytesMax, max_count: countMax } = this.#config ?? BOUNDS_OF_UNCONFIGURED;
    if (this.#bytes + bytes > bytesMax || this.#count >= countMax) return undefined;
    this.#bytes += bytes;
    this.#count += 1;
    return { bytes, evicted: [] };
  }

  /** The letter is written, or will be with the next group, in room that was taken for it. */
  add(letter: DeadLetter, room: LetterRoom): void {
    this.#letters.set(idOf(letter), letter);
    const { signal, itemCount, mark } = letter;
    this.#counter("dead_lettered", signal, "added to the dead letters.", mark.reason).add(itemCount);
    for (const gone of room.evicted) this.#counter("evicted_dead_letter", gone.signal, EVICTED).add(gone.itemCount);
    this.#reportEvicting(room.evicted.length > 0);
  }

  /** For the ledger, of a letter that comes and those that leave for it: to be written with them. */
  deltasOf(signal: Signal, items: number, { evicted }: LetterRoom): LedgerDelta[] {
    const { added } = this.#account(signal);
    return [{ counter: added, items }, ...evicted.map((letter) => this.deltaOf("evicted", letter))];
  }

  /** The same, of one that leaves for good, or to be sent again. */
  deltaOf(entry: "replayed" | "evicted" | "dropped", { signal, itemCount: items }: DeadLetter): LedgerDelta {
    return { counter: this.#account(signal)[entry], items };
  }

  #account(signal: Signal): LettersAccount {
    const { ledger } = this.#settings;
    const account = ledger.letters(this.destination, signal);
    account.observe(() => this.#keptItems(signal));
    return account;
  }

  /** Costs a look at all letters, when somebody asks for the ledger. */
  #keptItems(signal: Signal): number {
    let items = 0;
    for (const letter of this.#letters.values()) if (letter.signal === signal) items += letter.itemCount;
    return items;
  }

  /** It was not written: everything is as before. */
  giveBack({ bytes, evicted }: LetterRoom): void {
    this.#bytes -= bytes;
    this.#count -= 1;
    this.restore(evicted);
  }

  /** Of an earlier process, which had its own bound. */
  adopt(letter: DeadLetter): void {
    this.#letters.set(idOf(letter), letter);
    this.#account(letter.signal).carriedOverItems += letter.itemCount;
    this.#bytes += letter.bytes;
    this.#count += 1;
  }

  /** They are in their places again. Costs a sort of all, which is rare: a write failed, or a replay found no room. */
  restore(letters: readonly DeadLetter[]): void {
    if (letters.length === 0) return;
    const all = [...letters, ...this.#letters.values()].toSorted(compareAge);
    this.#letters = new Map(all.map((letter) => [idOf(letter), letter]));
    this.#count += letters.length;
    for (const { bytes } of letters) this.#bytes += bytes;
  }

  /** True for the one who gets it: to replay or to drop it. Afterwards it is nobody else's, until restore(). */
  claim(letter: DeadLetter): boolean {
    if (this.#letters.get(idOf(letter)) !== letter) return false;
    this.#remove(letter);
    return true;
  }

  letters(): readonly DeadLetter[] {
    return [...this.#letters.values()];
  }

  countReplayed({ signal, itemCount }: DeadLetter): void {
    this.#counter("replayed_dead_letter", signal, "replayed out of the dead letters.").add(itemCount);
  }

  countDropped({ signal, itemCount }: DeadLetter): void {
    this.#counter("dropped_dead_letter", signal, "dropped from the dead letters by command.").add(itemCount);
  }

  #remove(letter: DeadLetter): void {
    this.#letters.delete(idOf(letter));
    this.#bytes -= letter.bytes;
    this.#count -= 1;
  }

  #counter(name: string, signal: Signal, what: string, reason?: DeadLetterReason): Counter {
    const labels = { exporter: this.destination, data_type: signal, ...(reason !== undefined && { reason }) };
    const description = `Number of items ${what}`;
    return this.#settings.meter.counter(`signalbox_${name}_items`, labels, { description, unit: "{items}" });
  }

  /** Said once for each time that the bound is reached. */
  #reportEvicting(isEvicting: boolean): void {
    if (isEvicting && !this.#isEvicting) {
      const { max_size: bytesMax, max_count: countMax } = this.#config!;
      const bound = `${this.#count} of at most ${countMax}, ${this.#bytes} of at most ${bytesMax} bytes`;
      this.#settings.logger.warn(
        `destination ${this.destination}: its dead letters are full (${bound}); the oldest leave, counted`,
      );
    }
    this.#isEvicting = isEvicting;
  }
}

function compareAge(left: DeadLetter, right: DeadLetter): number {
  return (
    left.mark.atUnixMs - right.mark.atUnixMs ||
    left.ref.sequence - right.ref.sequence ||
    left.ref.index - right.ref.index
  );
}

const EVICTED = "that left the dead letters because these were full.";

export function refsOf(letters: readonly DeadLetter[]): EntryRef[] {
  return letters.map(({ ref }) => ref);
}
