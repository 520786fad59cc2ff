import type { Admission } from "../core/admission.ts";
import type { Batch } from "../core/batch.ts";
import type { Consumer } from "../core/consumer.ts";
import type { Signal } from "../core/signal.ts";
import type { CounterMaker, LabelledCounters, LedgerCounter, LedgerScope } from "./ledger-accounts.ts";
import type { LedgerDelta } from "./storage.ts";

/**
 * What it means when fewer items leave a processor than came: they are gone (a filter), they wait for a later decision
 * (tail_sampling, which says so), or they became part of others (log_dedup).
 */
export type Shortfall = "dropped" | "held" | "joined";

export interface PipelineStage {
  /** The processor's id: the rule that its drops are counted under. */
  readonly processor: string;
  readonly shortfall: Shortfall;
}

/** Items of one admission at each stage of one pipeline; the last is what reached the exporters. */
export type Tally = number[];

/** An admission that lets pipelines count; what they counted becomes part of the ledger when it is settled. */
export interface TallyKeeper {
  tally(account: PipelineAccount): Tally;
}

function keepsTallies(admission: Admission | (Admission & TallyKeeper)): admission is Admission & TallyKeeper {
  return "tally" in admission;
}

/**
 * held_before + incoming + created = admitted + dropped + joined + refused + held
 *
 * Nobody reports what a processor did: the account looks at the batch before each processor and behind the last, and
 * the difference is what the processor dropped, held, joined or created. It counts when the admission is settled, all at
 * once, so that the equation holds at any moment. A refused batch counts as incoming and refused, whatever was dropped.
 */
export class PipelineAccount {
  readonly pipeline: string;
  readonly signal: Signal;
  readonly stages: readonly PipelineStage[];
  readonly heldBefore: LedgerCounter;
  readonly incoming: LedgerCounter;
  readonly created: LedgerCounter;
  readonly admitted: LedgerCounter;
  readonly joined: LedgerCounter;
  readonly refused: LedgerCounter;
  /** A level: what came to be held less what was let go. */
  readonly held: LedgerCounter;
  readonly dropped: LabelledCounters;
  readonly #emptyTally: Tally;

  constructor(identity: Pick<PipelineAccount, "pipeline" | "signal" | "stages">, make: CounterMaker) {
    this.pipeline = identity.pipeline;
    this.signal = identity.signal;
    this.stages = identity.stages;
    this.#emptyTally = Array.from({ length: identity.stages.length + 1 }, () => 0);
    this.heldBefore = make.one("held_before");
    this.incoming = make.one("incoming");
    this.created = make.one("created");
    this.admitted = make.one("admitted");
    this.joined = make.one("joined");
    this.refused = make.one("refused");
    this.held = make.one("held");
    this.dropped = make.labelled("dropped");
  }

  /**
   * A consumer that counts what passes on its way to `next`: position 0 stands before the first processor, position
   * `stages.length` before the exporters.
   */
  at<S extends Signal>(position: number, next: Consumer<S>): Consumer<S> {
    return {
      mutatesData: next.mutatesData,
      consume: (batch: Batch<S>, admission: Admission): Promise<void> => {
        if (keepsTallies(admission)) {
          const tally = admission.tally(this);
          tally[position] = (tally[position] ?? 0) + batch.itemCount;
        }
        return next.consume(batch, admission);
      },
    };
  }

  newTally(): Tally {
    return this.#emptyTally.slice();
  }

  /** What an admission changes in this account. */
  addDeltas(deltas: LedgerDelta[], tally: Tally, isCommitted: boolean): void {
    const incoming = tally[0]!;
    deltas.push({ counter: this.incoming, items: incoming });
    if (!isCommitted) return void deltas.push({ counter: this.refused, items: incoming });
    for (let position = 0; position < this.stages.length; position += 1) {
      const missing = tally[position]! - tally[position + 1]!;
      if (missing !== 0) deltas.push(this.#shortfall(this.stages[position]!, missing));
    }
    deltas.push({ counter: this.admitted, items: tally[this.stages.length]! });
  }

  #shortfall(stage: PipelineStage, missing: number): { counter: LedgerCounter; items: number } {
    // What a holding processor lets go later comes from its own admission: more leaves it there than came.
    if (stage.shortfall === "held") return { counter: this.held, items: missing };
    if (missing < 0) return { counter: this.created, items: -missing };
    return { counter: stage.shortfall === "joined" ? this.joined : this.dropped.for(stage.processor), items: missing };
  }

  snapshot(scope: LedgerScope = "run"): PipelineLine {
    return {
      pipeline: this.pipeline,
      held_before: this.heldBefore.of(scope),
      incoming: this.incoming.of(scope),
      created: this.created.of(scope),
      admitted: this.admitted.of(scope),
      dropped: this.dropped.values(scope),
      joined: this.joined.of(scope),
      refused: this.refused.of(scope),
      held: this.held.of(scope),
    };
  }

  imbalance(): string | undefined {
    const came = sumOf([this.heldBefore, this.incoming, this.created]);
    const ended = sumOf([this.admitted, this.joined, this.refused, this.held]) + this.dropped.sum("ever");
    const difference = came - ended;
    if (difference === 0) return undefined;
    return `pipeline ${this.pipeline}: ${difference} items more came in than are accounted for`;
  }
}

function sumOf(counters: readonly LedgerCounter[]): number {
  return counters.reduce((sum, counter) => sum + counter.of("ever"), 0);
}

export interface PipelineLine {
  readonly pipeline: string;
  readonly held_before: number;
  readonly incoming: number;
  readonly created: number;
  readonly admitted: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly joined: number;
  readonly refused: number;
  readonly held: number;
}
