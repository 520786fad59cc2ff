/** What senders, backends and the process under test saw, on one clock: milliseconds since the start of the run. */

/** A request as a sender knows it: it is sent again, byte for byte, until it is acknowledged. */
export interface SentRequest {
  readonly first: number;
  readonly count: number;
  /** Undefined until then. */
  acknowledgedMs: number | undefined;
  /** The attempts without an answer: what became of them only the backends can tell. */
  readonly unanswered: Interval[];
  /** Answers that said no and that the sender may come back. */
  refusals: number;
  /** The answer said that it is no use to come back: a good request that is given up. */
  rejected: string | undefined;
}

/** What one backend did with some records of one request; a partial success makes two of these. */
export interface Receipt {
  readonly destination: string;
  readonly records: readonly number[];
  /** "rejected": the backend said that it will never take them. */
  readonly outcome: "taken" | "rejected";
  readonly arrivedMs: number;
  /** When the answer was handed to the operating system. */
  answeredMs: number | undefined;
  /** Why the answer did not reach the gateway, where the backend knows it. */
  lost: string | undefined;
}

export interface Interval {
  readonly startMs: number;
  /** Infinity where it has not ended. */
  endMs: number;
}

/** One life of the process under test. */
export interface Life extends Interval {
  end: "killed" | "lost power" | "terminated" | "ended by itself" | undefined;
  /** When the signal that ends it was sent; Infinity where none was. */
  struckMs: number;
  /** What it printed, for the ledger and for messages. */
  output: string;
}

export interface Fault extends Interval {
  readonly id: number;
  readonly kind: string;
  readonly lane: string;
}

const STALL_PROBE_MS = 20;
const STALL_MEMORY_MS = 2_000;

export class History {
  readonly requests: SentRequest[] = [];
  readonly receipts: Receipt[] = [];
  readonly lives: Life[] = [];
  readonly faults: Fault[] = [];
  /** What must not happen in any case: each sentence fails the run. */
  readonly problems: string[] = [];
  readonly #startedMs = performance.now();
  /** When this process itself got its turn late, and by how much. */
  readonly #stalls: { readonly atMs: number; readonly lateMs: number }[] = [];
  #nextNumber = 0;

  nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  get recordCount(): number {
    return this.#nextNumber;
  }

  /** From now on until it is disposed: how late the machine gives this process its turn. */
  watchStalls(): Disposable {
    let lastMs = this.nowMs();
    const timer = setInterval(() => {
      const nowMs = this.nowMs();
      const lateMs = nowMs - lastMs - STALL_PROBE_MS;
      if (lateMs > STALL_PROBE_MS) this.#stalls.push({ atMs: nowMs, lateMs });
      lastMs = nowMs;
    }, STALL_PROBE_MS);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** The worst of the time shortly before: the process under test waits for its turn as this one does. */
  stallMs(atMs: number): number {
    const near = this.#stalls.filter((stall) => stall.atMs <= atMs && stall.atMs > atMs - STALL_MEMORY_MS);
    return Math.max(0, ...near.map(({ lateMs }) => lateMs));
  }

  /** A new request of the next `count` numbers. */
  open(count: number): SentRequest {
    const request: SentRequest = {
      first: this.#nextNumber,
      count,
      acknowledgedMs: undefined,
      unanswered: [],
      refusals: 0,
      rejected: undefined,
    };
    this.#nextNumber += count;
    this.requests.push(request);
    return request;
  }

  /** The same sentence once: what goes wrong for thousands of records is one thing to mend. */
  problem(sentence: string): void {
    if (!this.problems.includes(sentence)) this.problems.push(sentence);
  }
}
