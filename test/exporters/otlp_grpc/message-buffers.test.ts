import { describe, expect, it } from "vitest";
import { MessageBuffers } from "../../../src/exporters/otlp_grpc/message-buffers.ts";
import type { EncodedPayload } from "../../../src/wire/otlp/types.ts";

function payloadOf(...texts: readonly string[]): EncodedPayload {
  const slices = texts.map((text) => Buffer.from(text));
  return { slices, size: slices.reduce((sum, { length }) => sum + length, 0), itemCount: texts.length };
}

describe("MessageBuffers", () => {
  it("joins the slices in their order", () => {
    expect(new MessageBuffers().join(payloadOf("one ", "two ", "three")).toString()).toBe("one two three");
  });

  it("hands on a single slice without a copy, and never writes into it", () => {
    const buffers = new MessageBuffers();
    const alone = payloadOf("alone");
    const message = buffers.join(alone);
    expect(message.buffer).toBe(alone.slices[0]!.buffer);
    buffers.giveBack(message, alone);
    buffers.join(payloadOf("other ", "bytes"));
    expect(Buffer.from(alone.slices[0]!).toString()).toBe("alone");
  });

  it("uses memory again that was given back", () => {
    const buffers = new MessageBuffers();
    const first = payloadOf("a", "b");
    const message = buffers.join(first);
    buffers.giveBack(message, first);
    const again = buffers.join(payloadOf("longer ", "than the first"));
    expect(again.buffer).toBe(message.buffer);
    expect(again.toString()).toBe("longer than the first");
  });

  it("does not touch a message that was not given back", () => {
    const buffers = new MessageBuffers();
    const kept = buffers.join(payloadOf("still ", "under way"));
    buffers.join(payloadOf("the ", "next one"));
    expect(kept.toString()).toBe("still under way");
  });

  it("keeps two buffers at most, and none above 4 MiB", () => {
    const buffers = new MessageBuffers();
    const large: EncodedPayload = { slices: [Buffer.alloc(5_000_000), Buffer.alloc(1)], size: 5_000_001, itemCount: 2 };
    const largeMessage = buffers.join(large);
    buffers.giveBack(largeMessage, large);
    const payloads = [payloadOf("a", "b"), payloadOf("c", "d"), payloadOf("e", "f")];
    const messages = payloads.map((payload) => buffers.join(payload));
    expect(messages.every(({ buffer }) => buffer !== largeMessage.buffer)).toBe(true);
    messages.forEach((message, index) => buffers.giveBack(message, payloads[index]!));
    const reused = payloads.map((payload) => buffers.join(payload).buffer);
    expect(reused.filter((buffer) => messages.some((message) => message.buffer === buffer))).toHaveLength(2);
  });

  it("gives up a buffer that is too small for one that is large enough", () => {
    const buffers = new MessageBuffers();
    const small = payloadOf("a", "b");
    for (const message of [buffers.join(small), buffers.join(small)]) buffers.giveBack(message, small);
    const large: EncodedPayload = { slices: [Buffer.alloc(300_000), Buffer.alloc(1)], size: 300_001, itemCount: 2 };
    const largeMessage = buffers.join(large);
    buffers.giveBack(largeMessage, large);
    expect(buffers.join(large).buffer).toBe(largeMessage.buffer);
  });
});
