import { describe, expect, it } from "vitest";
import { ConsumeError } from "../../../src/core/errors.ts";
import { TurnQueue } from "../../../src/receivers/otlp/large-requests.ts";
import { settle, TestClock } from "../../support/test-clock.ts";

const NEVER = new AbortController().signal;

function open() {
  const clock = new TestClock();
  const turns = new TurnQueue();
  const order: string[] = [];
  const take = async (name: string, deadlineMs = 10_000, signal = NEVER): Promise<() => void> => {
    const end = await turns.take({ clock, deadline: clock.nowMs() + deadlineMs, signal });
    order.push(name);
    return end;
  };
  return { clock, order, take };
}

describe("large requests", () => {
  it("have their turn one at a time, in order of arrival", async () => {
    const { order, take, clock } = open();
    const endFirst = await take("first");
    const [second, third] = [take("second"), take("third")];
    await settle();
    expect(order).toEqual(["first"]);
    endFirst();
    endFirst();
    const endSecond = await second;
    await settle();
    expect(order).toEqual(["first", "second"]);
    endSecond();
    (await third)();
    (await take("fourth"))();
    expect(order).toEqual(["first", "second", "third", "fourth"]);
    expect(clock.timerCount).toBe(0);
  });

  it("are refused, to come again, where their senders' time is over before their turn", async () => {
    const { clock, order, take } = open();
    const end = await take("first");
    const late = take("late", 2_000).catch((error: unknown) => error);
    await clock.advance(2_000);
    const error = await late;
    expect(error).toBeInstanceOf(ConsumeError);
    expect([(error as ConsumeError).kind, (error as ConsumeError).retryAfterMs]).toEqual(["refused", 1_000]);
    end();
    (await take("next"))();
    expect(order).toEqual(["first", "next"]);
  });

  it("are forgotten when their senders go", async () => {
    const { clock, order, take } = open();
    const end = await take("first");
    const gone = new AbortController();
    const waiting = take("gone", 10_000, gone.signal).catch(() => "gone");
    gone.abort();
    expect(await waiting).toBe("gone");
    expect(await take("never", 10_000, AbortSignal.abort()).catch(() => "gone")).toBe("gone");
    end();
    (await take("next"))();
    expect(order).toEqual(["first", "next"]);
    expect(clock.timerCount).toBe(0);
  });
});
