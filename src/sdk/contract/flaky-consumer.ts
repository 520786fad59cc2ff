import type { Admission } from "../../core/admission.ts";
import type { Batch } from "../../core/batch.ts";
import type { Consumer } from "../../core/consumer.ts";
import { ConsumeError, type ConsumeErrorKind } from "../../core/errors.ts";
import { fanOut } from "../../core/fan-out.ts";
import type { Signal } from "../../core/signal.ts";
import { joinSlices } from "../../wire/otlp/payload.ts";
import { settle } from "../manual-clock.ts";

/** What the rest of a pipeline may do with a batch, the forbidden included: a processor of a user's may do anything. */
export const BEHAVIOURS = [
  "takes",
  "takes late",
  "refuses",
  "refuses late",
  "cannot ever take it",
  "throws no ConsumeError",
  "rejects with no ConsumeError",
  "takes in one branch and refuses later in another",
] as const;

export type Behaviour = (typeof BEHAVIOURS)[number];

/** The kind that a caller of consume() must see; undefined where it resolves. */
export const KIND_OF: Readonly<Record<Behaviour, ConsumeErrorKind | undefined>> = {
  takes: undefined,
  "takes late": undefined,
  refuses: "refused",
  "refuses late": "refused",
  "cannot ever take it": "permanent",
  "throws no ConsumeError": "internal",
  "rejects with no ConsumeError": "internal",
  "takes in one branch and refuses later in another": "refused",
};

export interface Seen {
  readonly batch: Batch;
  /** As it was when it came. */
  readonly bytes: Buffer;
  readonly itemCount: number;
  readonly admission: Admission;
}

/** The rest of the pipeline behind a component under test. It remembers every batch. */
export class FlakyConsumer {
  readonly seen: Seen[] = [];
  behaviour: Behaviour = "takes";
  /** While it is set, every batch waits for it first. */
  gate: Promise<void> | undefined;

  for<S extends Signal>(): Consumer<S> {
    return { mutatesData: false, consume: (batch, admission) => this.#consume(batch, admission) };
  }

  #consume(batch: Batch, admission: Admission): Promise<void> {
    this.seen.push({ batch, admission, bytes: Buffer.from(joinSlices(batch.encode())), itemCount: batch.itemCount });
    // Not in an async function: this one throws before there is a promise, as a careless component does.
    if (this.behaviour === "throws no ConsumeError") throw new TypeError("undefined is not a function");
    return this.#answer(this.behaviour, batch, admission);
  }

  async #answer(behaviour: Behaviour, batch: Batch, admission: Admission): Promise<void> {
    await this.gate;
    switch (behaviour) {
      case "takes":
        return;
      case "takes late":
        return turns();
      case "refuses":
        throw new ConsumeError("refused", "no room");
      case "refuses late":
        await turns();
        throw new ConsumeError("refused", "no room");
      case "cannot ever take it":
        throw new ConsumeError("permanent", "not this one");
      case "rejects with no ConsumeError":
      case "throws no ConsumeError":
        throw new RangeError("out of range");
      case "takes in one branch and refuses later in another":
        return fanOut([TAKES, REFUSES_LATE]).consume(batch, admission);
    }
  }
}

const TAKES: Consumer = { mutatesData: false, consume: async () => undefined };
const REFUSES_LATE: Consumer = {
  mutatesData: false,
  consume: async () => {
    await turns();
    throw new ConsumeError("refused", "no room in this one");
  },
};

async function turns(): Promise<void> {
  for (let left = 5; left > 0; left -= 1) await settle();
}
