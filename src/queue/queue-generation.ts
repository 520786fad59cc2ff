import type { Admission, AdmissionSettings } from "../core/admission.ts";
import type { Clock } from "../core/clock.ts";
import type { Signal } from "../core/signal.ts";
import { QueueAdmission } from "./admission.ts";
import type { AdmissionOffice, Target } from "./admission.ts";
import type { Destination, DestinationOffice, DestinationSettings } from "./destination.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import type { RoomList } from "./room.ts";
import type { ComponentStates } from "./component-states.ts";
import type { SeenKeys } from "./seen-keys.ts";

/**
 * The destinations of one configuration, and the admissions that were opened while it was in force. An admission ends on
 * the generation it began with: it finds the destinations it was enlisted for, although a reload has taken them away.
 */
export class QueueGeneration implements AdmissionOffice {
  readonly clock: Clock;
  readonly rooms: RoomList;
  readonly journal: Journal;
  readonly seenKeys: SeenKeys;
  readonly states: ComponentStates;
  readonly ledger: Ledger;
  readonly destinations: readonly DestinationSettings[];
  readonly #targets = new Map<string, Target>();
  #openCount = 0;
  #onSettled: (() => void)[] = [];

  constructor(
    office: DestinationOffice & { readonly seenKeys: SeenKeys; readonly states: ComponentStates },
    destinations: readonly DestinationSettings[],
  ) {
    this.clock = office.clock;
    this.rooms = office.rooms;
    this.journal = office.journal;
    this.seenKeys = office.seenKeys;
    this.states = office.states;
    this.ledger = office.ledger;
    this.destinations = destinations;
  }

  has(destination: string): boolean {
    return this.destinations.some(({ id }) => id === destination);
  }

  admit(settings: AdmissionSettings): Admission {
    this.#openCount += 1;
    return new QueueAdmission(this, settings);
  }

  target(destination: string, signal: Signal): Target | undefined {
    return this.#targets.get(`${destination} ${signal}`);
  }

  /** Called once, when the generation comes into force. */
  use(destinations: Iterable<Destination>): void {
    for (const { settings, targets } of destinations) {
      for (const [signal, target] of targets) this.#targets.set(`${settings.id} ${signal}`, target);
    }
  }

  onSettled(): void {
    this.#openCount -= 1;
    if (this.#openCount > 0) return;
    for (const resolve of this.#onSettled.splice(0)) resolve();
  }

  /** Resolves when every admission that was opened here is settled. Call it when no more are opened. */
  settled(): Promise<void> {
    if (this.#openCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onSettled.push(resolve));
  }
}
