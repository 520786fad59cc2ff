import type { Admission, AdmissionSettings, Enlisted, Remembered, SeenKey, StateChange } from "../core/admission.ts";
import type { ClientMetadata } from "../core/client-metadata.ts";
import type { Clock } from "../core/clock.ts";
import { ConsumeError, worstError } from "../core/errors.ts";
import type { Counter } from "../core/meter.ts";
import type { Signal } from "../core/signal.ts";
import type { ComponentStates } from "./component-states.ts";
import type { DirectDestination } from "./direct-destination.ts";
import type { Journal } from "./journal.ts";
import type { ReceiverAccount } from "./ledger-accounts.ts";
import type { Ledger } from "./ledger.ts";
import { waitEndMs } from "./patience.ts";
import type { PipelineAccount, Tally, TallyKeeper } from "./pipeline-account.ts";
import { AdmissionPlan } from "./admission-plan.ts";
import type { RoomList } from "./room.ts";
import type { SeenKeys } from "./seen-keys.ts";
import type { SendingQueue } from "./sending-queue.ts";
import type { AdmissionRecord, LedgerDelta, StoredKey } from "./storage.ts";

/** Where a batch for one destination and signal goes. */
export type Target =
  | {
      readonly kind: "queue";
      readonly queue: SendingQueue;
      readonly isRequired: boolean;
      readonly enqueueFailed: Counter;
    }
  | { readonly kind: "direct"; readonly direct: DirectDestination; readonly enqueueFailed: Counter };

/** What all admissions share. */
export interface AdmissionOffice {
  readonly clock: Clock;
  readonly rooms: RoomList;
  readonly journal: Journal;
  readonly seenKeys: SeenKeys;
  readonly states: ComponentStates;
  readonly ledger: Ledger;
  /** undefined where no such destination is configured for this signal. */
  target(destination: string, signal: Signal): Target | undefined;
  /** Called once by every admission, when nothing more will come of it. */
  onSettled(): void;
}

type State = "open" | "committing" | "settled";

const NEVER_ABORTED = new AbortController().signal;

/** See core/admission.ts for the promises, and README.md for the order of a commit. */
export class QueueAdmission implements Admission, TallyKeeper {
  readonly deadline: number;
  readonly signal: AbortSignal;
  readonly client: ClientMetadata;
  /** Of the generation it was opened on: whoever routes its batches asks for it. */
  readonly office: AdmissionOffice;
  readonly #opener: string;
  readonly #openedMs: number;
  readonly #account: ReceiverAccount | undefined;
  readonly #items: number;
  readonly #entries: Enlisted[] = [];
  readonly #keys: StoredKey[] = [];
  readonly #changes: StateChange[] = [];
  #tallies: Map<PipelineAccount, Tally> | undefined;
  /** The outcome of the same request that came before, or is on its way. */
  #duplicateOf: Promise<void> | undefined;
  #state: State = "open";

  constructor(office: AdmissionOffice, settings: AdmissionSettings) {
    this.deadline = settings.deadline ?? Number.POSITIVE_INFINITY;
    this.signal = settings.signal ?? NEVER_ABORTED;
    this.client = settings.client;
    this.office = office;
    this.#opener = settings.opener;
    this.#openedMs = office.clock.nowMs();
    this.#account = office.ledger.receiver(settings);
    this.#items = settings.received?.items ?? 0;
    this.#account?.receive(this.#items);
  }

  enlist(entry: Enlisted): void {
    this.#assertOpen("enlist");
    this.#entries.push(entry);
  }

  remember(key: SeenKey, ttlMs: number): Remembered {
    this.#assertOpen("remember");
    if (this.#keys.some((own) => own.source === key.source && own.key === key.key)) return { state: "new" };
    const remembered = this.office.seenKeys.ask(key);
    if (remembered.state === "new") this.#keys.push({ ...key, expiresUnixMs: this.#openedMs + ttlMs });
    else this.#duplicateOf = remembered.state === "joined" ? remembered.outcome : Promise.resolve();
    return remembered;
  }

  attach(change: StateChange): void {
    this.#assertOpen("attach");
    this.#changes.push(change);
  }

  tally(account: PipelineAccount): Tally {
    this.#assertOpen("pass a pipeline");
    this.#tallies ??= new Map();
    let tally = this.#tallies.get(account);
    if (tally === undefined) {
      tally = account.newTally();
      this.#tallies.set(account, tally);
    }
    return tally;
  }

  async commit(): Promise<void> {
    this.#assertOpen("commit");
    this.#state = "committing";
    try {
      await this.#commit();
    } catch (thrown) {
      const error = ConsumeError.from(thrown);
      this.#refuse(error);
      throw error;
    }
  }

  discard(reason?: ConsumeError): void {
    if (this.#state !== "open") return;
    if (reason !== undefined || this.#duplicateOf === undefined) {
      this.#refuse(reason ?? new ConsumeError("refused", `${this.#opener} gave up`));
      return;
    }
    // The sender is answered as its first copy is.
    this.#settle();
    this.#duplicateOf.then(
      () => this.#account?.settle("accepted", this.#items),
      (error: unknown) => this.#account?.settle(outcomeOf(ConsumeError.from(error)), this.#items),
    );
  }

  /** While it awaits, only this function touches the plan; room that was taken is given back on every way out. */
  async #commit(): Promise<void> {
    const plan = new AdmissionPlan(this.office, this.#entries);
    plan.assertFits();
    const wait = plan.takeRoom({ openedMs: this.#openedMs, deadlineMs: this.deadline, signal: this.signal });
    if (wait !== undefined) await wait;
    try {
      if (plan.directs.length > 0) await this.#sendDirectly(plan);
      plan.takeBestEffortRoom();
      const deltas: LedgerDelta[] = [];
      plan.addDeltas(deltas);
      this.#addTallied(deltas, true);
      const record = this.#record(plan, deltas);
      if (isEmpty(record)) this.office.journal.note(deltas);
      else plan.accept(await this.office.journal.admit(record), this.client, this.#openedMs);
      this.#accept(plan, deltas);
    } catch (thrown) {
      plan.giveBack();
      throw thrown;
    }
  }

  /** In parallel, and all have settled before any is judged: none may still be sending when the sender is answered. */
  async #sendDirectly(plan: AdmissionPlan): Promise<void> {
    const { clock, journal } = this.office;
    const limits = { openedMs: this.#openedMs, deadlineMs: this.deadline, syncP99Ms: journal.syncP99Ms() };
    const end = new AbortController();
    const timer = clock.after(waitEndMs(limits) - clock.nowMs(), () => end.abort());
    const sends = plan.directs.map(({ direct, entry }) => direct.send(entry, this.client, end.signal));
    const outcomes = await Promise.all(sends);
    timer.cancel();
    plan.giveBackDirectRoom();
    const error = worstError(outcomes.filter((outcome) => outcome !== undefined));
    if (error !== undefined) throw error;
  }

  #record(plan: AdmissionPlan, deltas: readonly LedgerDelta[]): AdmissionRecord {
    const received = this.#account?.deltas("accepted", this.#items) ?? [];
    return {
      kind: "admission",
      admittedUnixMs: this.#openedMs,
      client: this.client,
      entries: plan.storedEntries(),
      evicted: plan.evictedRefs(),
      seen: this.#keys,
      state: this.#changes,
      ledger: [...deltas, ...received],
    };
  }

  #accept(plan: AdmissionPlan, deltas: readonly LedgerDelta[]): void {
    this.#settle();
    this.office.ledger.apply(deltas);
    plan.countDropped();
    for (const key of this.#keys) this.office.seenKeys.done(key);
    for (const change of this.#changes) this.office.states.apply(change);
    this.#account?.settle("accepted", this.#items);
  }

  #refuse(error: ConsumeError): void {
    this.#settle();
    const deltas: LedgerDelta[] = [];
    this.#addTallied(deltas, false);
    this.office.ledger.apply(deltas);
    const outcome = outcomeOf(error);
    this.office.journal.note([...deltas, ...(this.#account?.deltas(outcome, this.#items) ?? [])]);
    this.#account?.settle(outcome, this.#items);
    for (const key of this.#keys) this.office.seenKeys.failed(key, error);
  }

  #settle(): void {
    this.#state = "settled";
    this.office.onSettled();
  }

  #addTallied(deltas: LedgerDelta[], isCommitted: boolean): void {
    this.#tallies?.forEach((tally, account) => account.addDeltas(deltas, tally, isCommitted));
  }

  #assertOpen(action: string): void {
    if (this.#state === "open") return;
    const message = `${this.#opener}: cannot ${action}: the admission is ${this.#state}; a component did not wait for its branches`;
    throw new ConsumeError("internal", message);
  }
}

function isEmpty({ entries, seen, state }: AdmissionRecord): boolean {
  return entries.length === 0 && seen.length === 0 && state.length === 0;
}

/** refused: we said no. failed: we broke. */
function outcomeOf(error: ConsumeError): "refused" | "failed" {
  return error.kind === "internal" ? "failed" : "refused";
}
