import { describe, expect, it } from "vitest";
import { encodeRecords, decodeRecords } from "./records.ts";
import { DEFAULT_KINDS, FAULT_KINDS, planFaults } from "./fault-plan.ts";
import { type Fault, History, type Receipt } from "./history.ts";
import { judge } from "./judge.ts";
import { checkLedgers, readLedger } from "./ledger-check.ts";

/** One request of two records, acknowledged at 1 s, and one receipt at each destination. */
function healthyRun(): { history: History; receipts: Receipt[] } {
  const history = new History();
  const request = history.open(2);
  request.acknowledgedMs = 1_000;
  history.lives.push({ startMs: 0, endMs: 60_000, end: "terminated", struckMs: 60_000, output: "" });
  const receipts = ["first", "second"].map((destination) => receiptAt(destination, 1_100));
  history.receipts.push(...receipts);
  return { history, receipts };
}

function receiptAt(destination: string, ms: number, settings: Partial<Receipt> = {}): Receipt {
  const whole = { destination, records: [0, 1], outcome: "taken" as const, arrivedMs: ms, answeredMs: ms + 1 };
  return { ...whole, lost: undefined, ...settings };
}

function faultAt(kind: string, lane: string, startMs: number, endMs: number): Fault {
  return { id: 1, kind, lane, startMs, endMs };
}

describe("the verdict", () => {
  it("finds nothing where each record is at each destination once", () => {
    expect(judge(healthyRun().history).failures).toEqual([]);
  });

  it("finds an acknowledged record that a destination never had", () => {
    const { history } = healthyRun();
    history.receipts.splice(1, 1, receiptAt("second", 1_100, { records: [0] }));
    expect(judge(history).failures).toEqual(["second: 1 acknowledged records are lost: 1"]);
  });

  it("takes a record that was refused for good as accounted for", () => {
    const { history } = healthyRun();
    history.receipts.splice(1, 1, receiptAt("second", 1_100, { outcome: "rejected" }));
    expect(judge(history).failures).toEqual([]);
  });

  it("finds a copy that no lost answer explains", () => {
    const { history } = healthyRun();
    history.receipts.push(receiptAt("first", 5_000));
    expect(judge(history).failures).toEqual([
      "first: 2 records are there too often, and no lost answer says why: 0, 1",
    ]);
  });

  it.each([
    ["the backend did not get its answer out", (run: History) => (run.receipts[0]!.lost = "it hung up")],
    ["a sender's attempt had no answer", (run: History) => run.requests[0]!.unanswered.push({ startMs: 1, endMs: 2 })],
    ["the process was stopped just then", (run: History) => run.faults.push(faultAt("stop", "process", 1_102, 3_000))],
    ["its connection was cut just then", (run: History) => run.faults.push(faultAt("cut", "backend 0", 1_102, 3_000))],
    [
      "the process was killed just then",
      (run: History) => Object.assign(run.lives[0]!, { end: "killed", endMs: 1_140, struckMs: 1_140 }),
    ],
    [
      "the disk was full when the power was cut",
      (run: History) => {
        Object.assign(run.lives[0]!, { end: "lost power", endMs: 2_400, struckMs: 2_400 });
        run.faults.push(faultAt("disk_full", "disk", 1_000, 2_600));
      },
    ],
    [
      "the power was cut soon after",
      (run: History) => Object.assign(run.lives[0]!, { end: "lost power", endMs: 1_400, struckMs: 1_400 }),
    ],
  ])("excuses one copy, and not two, where %s", (_why, spoil) => {
    const { history } = healthyRun();
    spoil(history);
    history.receipts.push(receiptAt("first", 5_000));
    expect(judge(history).failures).toEqual([]);
    history.receipts.push(receiptAt("first", 9_000));
    expect(judge(history).failures).toHaveLength(1);
  });

  it.each([
    [
      "the process was killed after the answer was read",
      (run: History) => Object.assign(run.lives[0]!, { end: "killed", endMs: 1_200, struckMs: 1_200 }),
    ],
    [
      "the process was killed later, though the disk was full",
      (run: History) => {
        Object.assign(run.lives[0]!, { end: "killed", endMs: 1_400, struckMs: 1_400 });
        run.faults.push(faultAt("disk_full", "disk", 1_000, 1_600));
      },
    ],
    [
      "the power was cut long after",
      (run: History) => Object.assign(run.lives[0]!, { end: "lost power", endMs: 4_000, struckMs: 4_000 }),
    ],
    ["the other backend was cut", (run: History) => run.faults.push(faultAt("cut", "backend 1", 1_102, 3_000))],
    [
      "the process was terminated, which is no accident",
      (run: History) => Object.assign(run.lives[0]!, { endMs: 1_300, struckMs: 1_250 }),
    ],
  ])("does not excuse a copy where %s", (_why, spoil) => {
    const { history } = healthyRun();
    spoil(history);
    history.receipts.push(receiptAt("first", 5_000));
    expect(judge(history).failures).toHaveLength(1);
  });

  it("fails where a kill brings more requests again than can be under way", () => {
    for (const requests of [5, 6]) {
      const history = new History();
      history.lives.push({ startMs: 0, endMs: 1_120, end: "killed", struckMs: 1_120, output: "" });
      for (let request = 0; request < requests; request += 1) {
        const { first } = history.open(1);
        history.requests.at(-1)!.acknowledgedMs = 1_000;
        const once = { records: [first] };
        history.receipts.push(receiptAt("second", 1_050, once), receiptAt("first", 1_100 + request, once));
        history.receipts.push(receiptAt("first", 5_000 + request, once));
      }
      expect(judge(history).failures).toEqual(
        requests === 5
          ? []
          : ["first: 6 requests came again after the kill at 1.1 s, and at most 5 are under way at a time"],
      );
    }
  });

  it("fails where a good request was refused for good, or never acknowledged", () => {
    const { history } = healthyRun();
    history.open(1).rejected = "400";
    history.open(1);
    expect(judge(history).failures).toEqual([
      "1 good requests were refused for good: 400",
      "1 requests were not acknowledged before the end of the run",
    ]);
  });
});

describe("the ledger's check", () => {
  const ledger = (sent: number): string =>
    ["ledger, in items", "  receivers.otlp grpc logs: received 2, accepted 2"]
      .concat(["first", "second"].map((name) => `  exporters.otlp_grpc/${name} logs: admitted 2, sent ${sent}`))
      .join("\n");

  it("reads the rows as they are printed", () => {
    const row = readLedger("  exporters.otlp_http/second logs: carried_over 3, dropped{unreadable} 1, sent 2\n");
    expect(row.get("exporters.otlp_http/second logs")?.get("dropped{unreadable}")).toBe(1);
  });

  it("agrees where the gateway counted as senders and backends did", () => {
    const { history } = healthyRun();
    history.lives[0]!.output = ledger(2);
    expect(checkLedgers(history)).toEqual([]);
  });

  it("says which count differs", () => {
    const { history } = healthyRun();
    history.lives[0]!.output = ledger(1);
    expect(checkLedgers(history)).toContain(
      "the ledger of life 1: exporters.otlp_grpc/first logs: sent 1, and outside 2 were counted",
    );
  });
});

describe("the plan", () => {
  it("is the same for the same seed, and another for another", () => {
    const plan = (seed: number) => planFaults({ seed, faults: 40, seconds: 30, kinds: DEFAULT_KINDS });
    expect(plan(7)).toEqual(plan(7));
    expect(plan(7)).not.toEqual(plan(8));
  });

  it("has every kind before any comes again", () => {
    const plan = planFaults({ seed: 3, faults: DEFAULT_KINDS.length, seconds: 30, kinds: DEFAULT_KINDS });
    expect(new Set(plan.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
  });
});

describe("the records", () => {
  it("are read back from their bytes, and one that was altered is not taken for whole", () => {
    const bytes = encodeRecords(10, 3);
    expect(decodeRecords(bytes)).toEqual([10, 11, 12]);
    bytes[bytes.indexOf("record 11") + 2] = 0x78;
    expect(() => decodeRecords(bytes)).toThrow("record 11 came with another body");
  });
});
