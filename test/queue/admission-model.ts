/**
 * A reference for what admissions may do, simple enough to be read as the contract: lists, no timers, no promises.
 * It knows two queues that are waited for ("a", "b") and a destination without a queue ("direct").
 */
export type WaitedFor = "a" | "b";
export const WAITED_FOR: readonly WaitedFor[] = ["a", "b"];

export type Phase = "waiting" | "sending" | "storing" | "ok" | "failed";

export interface ModelAdmission {
  readonly id: number;
  readonly needs: Readonly<Record<WaitedFor, number>>;
  readonly isDirect: boolean;
  /** When it stops waiting for room, and for the destination without a queue. */
  readonly endMs: number;
  phase: Phase;
}

export class AdmissionModel {
  readonly limits: Readonly<Record<WaitedFor, number>>;
  readonly used: Record<WaitedFor, number> = { a: 0, b: 0 };
  readonly admissions: ModelAdmission[] = [];
  isHard = false;
  isClosed = false;

  constructor(limits: Readonly<Record<WaitedFor, number>>) {
    this.limits = limits;
  }

  inPhase(phase: Phase): ModelAdmission[] {
    return this.admissions.filter((admission) => admission.phase === phase);
  }

  open(needs: ModelAdmission["needs"], isDirect: boolean, endMs: number): ModelAdmission {
    const admission: ModelAdmission = { id: this.admissions.length, needs, isDirect, endMs, phase: "waiting" };
    const needsRoom = WAITED_FOR.some((queue) => needs[queue] > 0);
    this.admissions.push(admission);
    if (WAITED_FOR.some((queue) => needs[queue] > this.limits[queue])) admission.phase = "failed";
    else if (!needsRoom || this.isClosed) this.#walk(this.isHard && needsRoom ? [] : [admission]);
    else if (!this.isHard) this.#walk(this.inPhase("waiting"));
    if (this.isClosed && admission.phase === "waiting") admission.phase = "failed";
    return admission;
  }

  /** The sender has gone: ends only a wait for room. */
  abort(admission: ModelAdmission): void {
    if (admission.phase !== "waiting") return;
    admission.phase = "failed";
    this.#roomReturned();
  }

  /** After it had its room: the direct destination or the storage refused. */
  fail(admission: ModelAdmission): void {
    admission.phase = "failed";
    for (const queue of WAITED_FOR) this.used[queue] -= admission.needs[queue];
    this.#roomReturned();
  }

  sent(queue: WaitedFor, items: number): void {
    this.used[queue] -= items;
    this.#roomReturned();
  }

  /** Time passes: those whose end has come, in its order, and what follows from each. */
  advanceTo(nowMs: number): void {
    for (;;) {
      const due = this.admissions
        .filter(({ phase, endMs }) => (phase === "waiting" || phase === "sending") && endMs <= nowMs)
        .toSorted((left, right) => left.endMs - right.endMs)[0];
      if (due === undefined) return;
      if (due.phase === "waiting") this.abort(due);
      else this.fail(due);
    }
  }

  setHard(isHard: boolean): void {
    this.isHard = isHard;
    this.#roomReturned();
  }

  refuseWaiting(): void {
    this.isClosed = true;
    for (const admission of this.inPhase("waiting")) admission.phase = "failed";
  }

  #roomReturned(): void {
    if (!this.isHard && !this.isClosed) this.#walk(this.inPhase("waiting"));
  }

  /** Point 3 of the delivery contract, word by word. */
  #walk(waiting: readonly ModelAdmission[]): void {
    const closed = new Set<WaitedFor>();
    for (const admission of waiting) {
      const needed = WAITED_FOR.filter((queue) => admission.needs[queue] > 0);
      const lacking = needed.filter((queue) => this.limits[queue] - this.used[queue] < admission.needs[queue]);
      if (lacking.length === 0 && !needed.some((queue) => closed.has(queue))) {
        for (const queue of needed) this.used[queue] += admission.needs[queue];
        admission.phase = admission.isDirect ? "sending" : "storing";
      } else {
        for (const queue of lacking) closed.add(queue);
      }
    }
  }
}
