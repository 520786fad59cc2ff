import { describe, expect, it } from "vitest";
import { TextWatch } from "../../../src/receivers/otlp/text-watch.ts";
import { hasInvalidText } from "../../../src/wire/otlp/invalid-text.ts";
import { TestClock } from "../../support/test-clock.ts";

function field(number: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
}

const withBody = (text: Uint8Array): Buffer => field(1, field(2, field(2, field(5, field(1, text)))));
const BROKEN = withBody(Buffer.from([0x61, 0xc3]));

describe("a look for text that is no UTF-8", () => {
  it("finds it in a body, a key and a schema's address, and in no bytes value or unknown field", () => {
    const half = Buffer.from([0xc3]);
    expect(hasInvalidText("logs", BROKEN)).toBe(true);
    expect(hasInvalidText("logs", withBody(Buffer.from("café")))).toBe(false);
    expect(hasInvalidText("logs", field(1, field(2, field(2, field(6, field(1, half))))))).toBe(true);
    expect(hasInvalidText("traces", field(1, field(3, half)))).toBe(true);
    expect(hasInvalidText("logs", field(1, field(2, field(2, field(5, field(7, half))))))).toBe(false);
    expect(hasInvalidText("logs", field(1, field(2, field(2, field(15, half)))))).toBe(false);
  });

  it("is given to the first request, and again after a rest", async () => {
    const clock = new TestClock();
    const watch = new TextWatch(clock);
    expect([watch.finds("logs", BROKEN), watch.finds("logs", BROKEN)]).toEqual([true, false]);
    await clock.advance(100);
    expect(watch.finds("logs", BROKEN)).toBe(true);
  });
});
