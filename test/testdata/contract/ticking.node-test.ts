/** Run by Node's own test runner from test/sdk/contract-node-test.test.ts: one keeps its promises, one leaves its interval. */
import { test } from "node:test";
import { defineProcessor } from "signalbox/sdk";
import { contractOf } from "signalbox/sdk/testing";

function ticking(type: string, end: (interval: NodeJS.Timeout) => void) {
  return defineProcessor({
    type,
    signals: ["logs"],
    create() {
      let interval: NodeJS.Timeout;
      return {
        start: () => void (interval = setInterval(() => undefined, 1_000)),
        logs: () => undefined,
        shutdown: () => end(interval),
      };
    },
  });
}

for (const processor of [ticking("tidy", clearInterval), ticking("leaky", () => undefined)]) {
  for (const { name, check } of contractOf(processor)) void test(`${processor.type} ${name}`, { concurrency: true }, check);
}
