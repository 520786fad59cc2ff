import { afterEach, describe, expect, test } from "vitest";
import type { ExporterClient } from "../../../src/exporters/otlp_grpc/clients.ts";
import { errorFromGrpcAnswer } from "../../../src/net/backend-answers.ts";
import { OTLP_METHODS } from "../../../src/net/otlp-methods.ts";
import { GRPC_CODES } from "../../../src/net/rpc-status.ts";
import { NEVER } from "../test-exporter.ts";
import { ChaosBackend } from "./chaos-backend.ts";
import { CLIENTS, openClient } from "./two-clients.ts";

const MESSAGE_COUNT = 600;
const SENDER_COUNT = 8;
const BACKEND = { name: "backend", protocol: "grpc", secrets: [] } as const;

let backend: ChaosBackend | undefined;
let client: ExporterClient | undefined;

afterEach(async () => {
  client?.close();
  await backend?.close();
});

interface Sent {
  /** Attempts that failed without saying whether the message was taken. */
  unclear: number;
}

/** As the sending queue does: the same message until it is answered, whenever the failure is one to retry. */
async function sendUntilAnswered(of: ExporterClient, text: string): Promise<Sent> {
  const call = { path: OTLP_METHODS.logs, message: Buffer.from(text), timeoutMs: 20_000 };
  for (let unclear = 0; unclear < 100; unclear += 1) {
    const reply = await of.call(call, NEVER);
    if (reply.code === GRPC_CODES.OK) return { unclear };
    const error = errorFromGrpcAnswer(reply, BACKEND);
    expect(error.kind, error.message).toBe("retryable");
  }
  throw new Error(`${text} was never answered`);
}

describe.each(CLIENTS)("over %s", (_name, create) => {
  test.each([1, 7, 42, 20_261_124])(
    "with a backend that resets, loses and leaves at random (seed %i), every message is taken, and twice only where no answer came",
    async (seed) => {
      const chaos = await ChaosBackend.listen(seed);
      backend = chaos;
      const opened = openClient(create, `dns:127.0.0.1:${chaos.port}`, { compression: "none" });
      client = opened;
      const texts = Array.from({ length: MESSAGE_COUNT }, (_, index) => `${index} ${"x".repeat((index * 97) % 5000)}`);
      const sent = new Map<string, Sent>();
      const queue = texts.values();
      const sender = async (): Promise<void> => {
        for (const text of queue) sent.set(text, await sendUntilAnswered(opened, text));
      };
      await Promise.all(Array.from({ length: SENDER_COUNT }, sender));
      // Every fate was met, so the test tests what it says.
      expect(chaos.fates.size).toBe(10);
      for (const text of texts) {
        const taken = chaos.taken.get(text) ?? 0;
        const { unclear } = sent.get(text)!;
        // Once for the answer, and at most once more for each attempt that ended in the dark.
        expect(taken, text.slice(0, 10)).toBeGreaterThanOrEqual(1);
        expect(taken, text.slice(0, 10)).toBeLessThanOrEqual(1 + unclear);
      }
      const duplicates = [...chaos.taken.values()].reduce((sum, count) => sum + count - 1, 0);
      const unclear = [...sent.values()].reduce((sum, of) => sum + of.unclear, 0);
      expect(duplicates).toBeGreaterThan(0);
      expect(duplicates).toBeLessThanOrEqual(unclear);
    },
    60_000,
  );
});
