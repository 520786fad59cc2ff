import * as fc from "fast-check";
import { expect, it } from "vitest";
import { ConsumeError } from "../../src/core/errors.ts";
import { SENT_WHOLE } from "../../src/core/sender.ts";
import type { EncodedPayload } from "../../src/wire/otlp/types.ts";
import { settle, TestClock } from "../support/test-clock.ts";
import { AdmissionModel, WAITED_FOR } from "./admission-model.ts";
import type { ModelAdmission, WaitedFor } from "./admission-model.ts";
import { LogStorage } from "./log-storage.ts";
import { ledgerLine, openAdmission, openQueues, payloadOf, TestSender, watch } from "./support.ts";
import type { TestQueues } from "./support.ts";
import { fuzz, FUZZ_TIMES } from "../support/fuzz.ts";

/**
 * Random runs of waiting, abort, fan-out, refusal, failure of the storage, completion, memory pressure and shutdown,
 * compared with the model after every step.
 */
const RUNS = 60;
/** Longer runs have longer stories too: what needs many steps to go wrong is found nowhere else. */
const COMMANDS_MAX = Math.min(60 * FUZZ_TIMES, 200);

const LIMITS = { a: 10, b: 8 };
const LIMIT_OLDEST = 6;
const LIMIT_BEST_EFFORT = 4;
const QUEUES = ["a", "b", "oldest", "letters", "best_effort"] as const;
type QueueName = (typeof QUEUES)[number];

interface Request {
  readonly payload: EncodedPayload;
  readonly destinations: readonly string[];
  readonly answer: ReturnType<typeof watch>;
  readonly sender: AbortController;
}

/** The real thing under test, with what the test needs to drive and to watch it. */
class Gateway {
  readonly clock = new TestClock();
  readonly storage = new LogStorage();
  readonly senders: Record<QueueName | "direct", TestSender> = {
    a: new TestSender().hang(),
    b: new TestSender().hang(),
    oldest: new TestSender().hang(),
    letters: new TestSender().hang(),
    best_effort: new TestSender().hang(),
    direct: new TestSender().hang(),
  };
  readonly requests: Request[] = [];
  readonly opened: TestQueues;

  constructor() {
    const { a, b, oldest, letters, best_effort, direct } = this.senders;
    const { clock, storage } = this;
    this.opened = openQueues(
      [
        { id: "a", sender: a, queue: inItems(LIMITS.a) },
        { id: "b", sender: b, queue: inItems(LIMITS.b, { num_consumers: 3 }) },
        { id: "oldest", sender: oldest, queue: inItems(LIMIT_OLDEST, { overflow: "drop_oldest" }) },
        { id: "letters", sender: letters, queue: inItems(LIMIT_OLDEST, { overflow: "dead_letter" }) },
        { id: "best_effort", sender: best_effort, queue: inItems(LIMIT_BEST_EFFORT), delivery: "best_effort" },
        { id: "direct", sender: direct, queue: { enabled: false } },
      ],
      { clock, storage },
    );
    this.storage.isHoldingAppends = true;
  }

  used(queue: QueueName): number {
    return this.opened.meter.value(`otelcol_exporter_queue_size{exporter=${queue},data_type=logs}`) ?? 0;
  }

  admit(destinations: Readonly<Partial<Record<QueueName | "direct", EncodedPayload>>>, deadline: number): void {
    const sender = new AbortController();
    const entries = Object.entries(destinations);
    const payload = payloadOf(0);
    const admission = openAdmission(this.opened.queues, { deadline, signal: sender.signal });
    for (const [destination, one] of entries) admission.enlist({ destination, signal: "logs", payload: one });
    const answer = watch(admission.commit());
    this.requests.push({ payload, destinations: entries.map(([destination]) => destination), answer, sender });
  }

  /** The stored admissions by their opening order: `size` of a payload names its request. */
  storedRequestIds(): number[] {
    const records = [...this.storage.records.values()];
    return records.flatMap((record) => (record.kind === "admission" ? [requestIdOf(record.entries[0]?.payload)] : []));
  }
}

function inItems(queueSize: number, more = {}): Record<string, unknown> {
  return { sizer: "items", queue_size: queueSize, num_consumers: 1, ...more };
}

/** Payloads carry the number of their request as their size, so that whatever holds one says whose it is. */
function payloadFor(requestId: number, items: number): EncodedPayload {
  return { slices: [], size: requestId + 1, itemCount: items };
}

function requestIdOf(payload: EncodedPayload | undefined): number {
  return (payload?.size ?? 0) - 1;
}

interface Admit {
  readonly a: number;
  readonly b: number;
  readonly oldest: number;
  readonly letters: number;
  readonly best_effort: number;
  readonly isDirect: boolean;
  readonly timeoutMs: number;
}

type Command = fc.AsyncCommand<AdmissionModel, Gateway>;

/** A command that settles what it set off and then checks everything. */
function command(name: string, act: (model: AdmissionModel, real: Gateway) => Promise<void> | void): Command {
  return {
    check: () => true,
    toString: () => name,
    run: async (model, real) => {
      await act(model, real);
      await settle();
      checkAll(model, real);
    },
  };
}

function admitCommand(wanted: Admit): Command {
  return command(`admit(${JSON.stringify(wanted)})`, (model, real) => {
    const id = real.requests.length;
    const nowMs = real.clock.nowMs();
    // A different end for each, so that no two fall due at once.
    const deadlineMs = Math.ceil((nowMs + wanted.timeoutMs) / 1000) * 1000 + id;
    const { a, b, isDirect } = wanted;
    model.open({ a, b }, isDirect, deadlineMs - 500);
    const amounts = QUEUES.filter((queue) => wanted[queue] > 0);
    const shares = Object.fromEntries(amounts.map((queue) => [queue, payloadFor(id, wanted[queue])]));
    real.admit({ ...shares, ...(isDirect && { direct: payloadFor(id, 1) }) }, deadlineMs);
  });
}

const abortCommand = (choice: number): Command =>
  command(`abort(${choice})`, (model, real) => {
    const waiting = model.inPhase("waiting");
    const admission = waiting[choice % Math.max(waiting.length, 1)];
    if (admission === undefined) return;
    model.abort(admission);
    real.requests[admission.id]!.sender.abort();
  });

const appendCommand = (isFailing: boolean): Command =>
  command(`append(${isFailing ? "fails" : "ends"})`, async (model, real) => {
    if (real.storage.heldAppendCount === 0) return;
    const group = real.storage.groups.at(-1)!;
    real.storage.releaseAppend(isFailing ? new Error("EIO") : undefined);
    for (const record of group) {
      if (record.kind !== "admission") continue;
      const admission = model.admissions[requestIdOf(record.entries[0]?.payload)]!;
      if (isFailing) model.fail(admission);
      else admission.phase = "ok";
    }
  });

const completeCommand = (queue: QueueName, isRejected: boolean): Command =>
  command(`complete(${queue}, ${isRejected ? "rejected" : "sent"})`, (model, real) => {
    const attempt = real.senders[queue].oldestOpen;
    if (attempt === undefined) return;
    if (isWaitedFor(queue)) model.sent(queue, attempt.payload.itemCount);
    real.senders[queue].release(isRejected ? new ConsumeError("permanent", "HTTP 400") : SENT_WHOLE);
  });

const directCommand = (isRefused: boolean): Command =>
  command(`direct(${isRefused ? "refuses" : "takes"})`, (model, real) => {
    const attempt = real.senders.direct.oldestOpen;
    if (attempt === undefined) return;
    const admission = model.admissions[requestIdOf(attempt.payload)]!;
    if (isRefused) model.fail(admission);
    else admission.phase = "storing";
    real.senders.direct.release(isRefused ? new ConsumeError("permanent", "HTTP 400") : SENT_WHOLE);
  });

const advanceCommand = (durationMs: number): Command =>
  command(`advance(${durationMs})`, async (model, real) => {
    if (real.storage.heldAppendCount > 0) return;
    // A sync that takes time would change the margin; room.test.ts has that.
    real.storage.isHoldingAppends = false;
    model.advanceTo(real.clock.nowMs() + durationMs);
    await real.clock.advance(durationMs);
    for (const admission of model.inPhase("storing")) admission.phase = "ok";
    real.storage.isHoldingAppends = true;
  });

const pressureCommand = (isHard: boolean): Command =>
  command(`pressure(${isHard ? "hard" : "none"})`, (model, real) => {
    real.opened.queues.reportPressure("memory_limiter", isHard ? "hard" : "none");
    if (model.isHard !== isHard) model.setHard(isHard);
  });

const refuseWaitingCommand: Command = command("refuseWaiting", (model, real) => {
  model.refuseWaiting();
  real.opened.queues.refuseWaiting();
});

function isWaitedFor(queue: QueueName): queue is WaitedFor {
  return queue === "a" || queue === "b";
}

/** The model does not know what best-effort queues drop; an admission of which nothing is left has nothing to store. */
function followDropped(model: AdmissionModel, real: Gateway): void {
  for (const admission of model.inPhase("storing")) {
    const isDroppable = WAITED_FOR.every((queue) => admission.needs[queue] === 0);
    if (isDroppable && real.requests[admission.id]!.answer.state === "ok") admission.phase = "ok";
  }
}

function checkAll(model: AdmissionModel, real: Gateway): void {
  followDropped(model, real);
  const { queues } = real.opened;
  queues.ledger.balance();
  for (const queue of WAITED_FOR) expect([queue, real.used(queue)]).toEqual([queue, model.used[queue]]);
  const limits = { ...LIMITS, oldest: LIMIT_OLDEST, letters: LIMIT_OLDEST, best_effort: LIMIT_BEST_EFFORT };
  for (const queue of QUEUES) {
    expect(real.used(queue)).toBeGreaterThanOrEqual(0);
    expect(real.used(queue)).toBeLessThanOrEqual(limits[queue]);
  }
  for (const admission of model.admissions) checkAnswer(admission, real.requests[admission.id]!);
  checkWholeness(model, real);
}

function checkAnswer({ id, phase }: ModelAdmission, { answer }: Request): void {
  const state = answer.state === "ok" || answer.state === "pending" ? answer.state : "failed";
  const expected = phase === "ok" || phase === "failed" ? phase : "pending";
  expect([id, state]).toEqual([id, expected]);
}

/** No admission is there in part: all that was admitted has its record, and nobody else's bytes are anywhere. */
function checkWholeness(model: AdmissionModel, real: Gateway): void {
  const admitted = new Set(model.inPhase("ok").map(({ id }) => id));
  expect(real.storedRequestIds().every((id) => admitted.has(id))).toBe(true);
  for (const queue of QUEUES) {
    for (const { payload } of real.senders[queue].requests) expect(admitted).toContain(requestIdOf(payload));
    const wanted = [...admitted].filter((id) => real.requests[id]!.destinations.includes(queue));
    const arrived = ledgerLine(real.opened.queues, queue);
    expect([queue, arrived.admitted > 0]).toEqual([queue, wanted.length > 0]);
  }
}

async function shutDown(model: AdmissionModel, real: Gateway): Promise<void> {
  const end = new AbortController();
  model.refuseWaiting();
  const shutdown = real.opened.queues.shutdown(end.signal);
  real.storage.isHoldingAppends = false;
  while (real.storage.heldAppendCount > 0) real.storage.releaseAppend();
  await real.clock.advance(10_000);
  end.abort();
  await real.clock.advance(10_000);
  await shutdown;
  expect(real.requests.filter(({ answer }) => answer.state === "pending")).toEqual([]);
  expect(real.clock.timerCount).toBe(0);
  real.opened.queues.ledger.balance();
}

const items = (max: number) => fc.oneof(fc.constant(0), fc.integer({ min: 1, max }));

const commands = fc.commands(
  [
    fc
      .record({
        a: items(LIMITS.a + 1),
        b: items(LIMITS.b + 1),
        oldest: items(LIMIT_OLDEST),
        letters: items(LIMIT_OLDEST),
        best_effort: items(LIMIT_BEST_EFFORT),
        isDirect: fc.boolean(),
        timeoutMs: fc.integer({ min: 2000, max: 20_000 }),
      })
      .map(admitCommand),
    fc.nat(20).map(abortCommand),
    fc.constantFrom(false, false, false, true).map(appendCommand),
    fc.tuple(fc.constantFrom(...QUEUES), fc.boolean()).map(([queue, isRejected]) => completeCommand(queue, isRejected)),
    fc.boolean().map(directCommand),
    fc.integer({ min: 1, max: 8000 }).map(advanceCommand),
    fc.constantFrom(false, false, true).map(pressureCommand),
    fc
      .constantFrom(...Array.from({ length: 20 }, (_, index) => index === 0))
      .map((isEnd) => (isEnd ? refuseWaitingCommand : appendCommand(false))),
  ],
  { size: "max", maxCommands: COMMANDS_MAX },
);

it("admission, room, storage and shutdown do what the model does, in every step of random runs", async () => {
  const property = fc.asyncProperty(commands, async (run) => {
    const model = new AdmissionModel(LIMITS);
    const real = new Gateway();
    await real.opened.queues.start();
    await fc.asyncModelRun(() => ({ model, real }), run);
    await shutDown(model, real);
  });
  const outcome = await fc.check(property, fuzz(RUNS));
  expect(fc.defaultReportMessage(outcome)).toBeUndefined();
}, 600_000);
