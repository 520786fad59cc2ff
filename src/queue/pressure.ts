import type { Pressure } from "../core/component.ts";

const SEVERITY = { none: 0, soft: 1, hard: 2 } as const satisfies Record<Pressure, number>;

/** The worst pressure that any reporter tells; whoever waits because of it is called when it changes. */
export class PressureBoard {
  readonly #reports = new Map<string, Pressure>();
  readonly #listeners: ((pressure: Pressure) => void)[] = [];
  #worst: Pressure = "none";

  get worst(): Pressure {
    return this.#worst;
  }

  report(reporter: string, pressure: Pressure): void {
    if (pressure === "none") this.#reports.delete(reporter);
    else this.#reports.set(reporter, pressure);
    const worst = [...this.#reports.values()].reduce<Pressure>(worse, "none");
    if (worst === this.#worst) return;
    this.#worst = worst;
    for (const listener of this.#listeners) listener(worst);
  }

  /** For as long as the gateway lives: its few listeners are made with it. */
  onChange(listener: (pressure: Pressure) => void): void {
    this.#listeners.push(listener);
  }
}

function worse(left: Pressure, right: Pressure): Pressure {
  return SEVERITY[right] > SEVERITY[left] ? right : left;
}
