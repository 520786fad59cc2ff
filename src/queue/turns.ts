/** At most so many at a time; whoever comes later waits in line. */
export class Turns {
  readonly #turnsMax: number;
  readonly #waiting = new Set<() => void>();
  #takenCount = 0;

  constructor(turnsMax: number) {
    this.#turnsMax = turnsMax;
  }

  get takenCount(): number {
    return this.#takenCount;
  }

  /** Resolves with true once it is the caller's turn, who must give it back; with false when `end` aborts before. */
  take(end: AbortSignal): Promise<boolean> | boolean {
    if (end.aborted) return false;
    if (this.#takenCount < this.#turnsMax) {
      this.#takenCount += 1;
      return true;
    }
    return new Promise((resolve) => {
      const leave = (hasTurn: boolean): void => {
        this.#waiting.delete(go);
        end.removeEventListener("abort", stop);
        resolve(hasTurn);
      };
      const go = (): void => leave(true);
      const stop = (): void => leave(false);
      this.#waiting.add(go);
      end.addEventListener("abort", stop, { once: true });
    });
  }

  /** The turn passes to the next in line, or is free. */
  giveBack(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#takenCount -= 1;
    else next();
  }
}
