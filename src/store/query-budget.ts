import { StoreError } from "./store-error.ts";

/** Looking at the clock for each of a million rows would cost more than the rows. */
const CALLS_PER_LOOK = 256;

/**
 * The time one query may take, shared by all statements that answer it. SQLite calls `within_budget()` for each row it
 * looks at, which is the only way in: node:sqlite cannot interrupt a statement from outside.
 */
export class QueryBudget {
  readonly #monotonicMs: () => number;
  #allowedMs = Infinity;
  #endMs = Infinity;
  #calls = 0;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  begin(allowedMs: number): void {
    this.#allowedMs = allowedMs;
    this.#endMs = this.#monotonicMs() + allowedMs;
    this.#calls = 0;
  }

  /** Returns 1, for SQL; throws StoreError "over_budget". */
  check(): 1 {
    if (this.#calls++ % CALLS_PER_LOOK === 0 && this.#monotonicMs() > this.#endMs) {
      throw new StoreError(
        "over_budget",
        `the query was ended after ${this.#allowedMs} ms; narrow its time range, or name a job, a machine or a level`,
      );
    }
    return 1;
  }
}
