import type { BackendFault } from "./fault-plan.ts";
import type { History, Receipt } from "./history.ts";
import { decodeRecords } from "./records.ts";

/** One attempt of the gateway to send; longer answers come too late. */
export const ATTEMPT_TIMEOUT_MS = 1_500;

export const LOOPBACK = "127.0.0.1";

export type Answer =
  | { readonly kind: "ok" | "hang_up" | "bad" | "too_large" | "garbage_body" | "garbage_protocol" }
  | { readonly kind: "exhausted" | "unavailable"; readonly retryAfterS: number | undefined }
  | { readonly kind: "partial"; readonly rejected: number };

/** What to answer a request, when, and what was written down about its records. */
export interface Reply {
  readonly answer: Answer;
  readonly delayMs: number;
  readonly receipts: readonly Receipt[];
}

/** Of the requests that come while the fault lasts; the others are answered as ever, so that the two mix. */
const SHARES: Readonly<Partial<Record<BackendFault, number>>> = {
  hang_up: 0.5,
  late: 0.5,
  bad_400: 0.3,
  partial_success: 0.5,
  garbage_body: 0.5,
  garbage_protocol: 0.5,
};

/** Requests with more records than that are too large while the fault lasts. */
const SMALL_REQUEST_RECORDS = 15;

export interface BackendSettings {
  readonly name: string;
  readonly history: History;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** The socket side of a backend. */
export interface BackendServer {
  /** Where it listens, the same port each time. */
  readonly port: number;
  listen(): Promise<void>;
  /** Breaks all connections, and refuses new ones until listen(). */
  cut(): Promise<void>;
}

/** A backend's mind: what it takes, what it answers, what it writes down. The protocols are in grpc-backend.ts and http-backend.ts. */
export class Backend {
  readonly name: string;
  readonly #history: History;
  readonly #random: () => number;
  readonly #open = new Set<Reply>();
  #fault: BackendFault | undefined;

  constructor({ name, history, random }: BackendSettings) {
    this.name = name;
    this.#history = history;
    this.#random = random;
  }

  /** Cutting is the server's affair; what was under way is lost then. */
  set fault(fault: BackendFault | undefined) {
    this.#fault = fault;
    if (fault !== "cut") return;
    for (const reply of this.#open) this.#lose(reply, "the connection was cut before the answer");
  }

  /** A request has arrived whole. */
  receive(body: Buffer): Reply {
    let records: readonly number[];
    try {
      records = decodeRecords(body);
    } catch (error) {
      this.#history.problem(
        `${this.name} got a request that it cannot read: ${error instanceof Error ? error.message : String(error)}`,
      );
      records = [];
    }
    const { answer, delayMs } = this.#decide(records.length);
    const reply = { answer, delayMs, receipts: this.#writeDown(records, answer) };
    if (reply.receipts.length > 0) this.#open.add(reply);
    return reply;
  }

  /** The answer went out. */
  answered(reply: Reply): void {
    for (const receipt of reply.receipts) receipt.answeredMs = this.#history.nowMs();
  }

  /** The exchange is over, however it ended. */
  closed(reply: Reply, isWhole: boolean): void {
    if (!this.#open.has(reply)) return;
    if (isWhole) this.#open.delete(reply);
    else this.#lose(reply, "the gateway was gone before the answer");
  }

  #lose(reply: Reply, cause: string): void {
    this.#open.delete(reply);
    for (const receipt of reply.receipts) receipt.lost ??= cause;
  }

  #decide(count: number): Pick<Reply, "answer" | "delayMs"> {
    const fault = this.#fault;
    if (fault === undefined || this.#random() >= (SHARES[fault] ?? 1)) return { answer: { kind: "ok" }, delayMs: 0 };
    const lateMs = ATTEMPT_TIMEOUT_MS + 200 + this.#random() * 800;
    const slowMs = 50 + this.#random() * 650;
    const retryAfterS = this.#random() < 0.5 ? 1 : undefined;
    const answers: Readonly<Record<BackendFault, Answer>> = {
      cut: { kind: "hang_up" },
      hang_up: { kind: "hang_up" },
      late: { kind: "ok" },
      slow: { kind: "ok" },
      too_many_429: { kind: "exhausted", retryAfterS },
      unavailable_503: { kind: "unavailable", retryAfterS },
      bad_400: { kind: "bad" },
      too_large_413: { kind: count > SMALL_REQUEST_RECORDS ? "too_large" : "ok" },
      partial_success: { kind: "partial", rejected: Math.ceil(this.#random() * count) },
      garbage_body: { kind: "garbage_body" },
      garbage_protocol: { kind: "garbage_protocol" },
    };
    return { answer: answers[fault], delayMs: fault === "late" ? lateMs : fault === "slow" ? slowMs : 0 };
  }

  #writeDown(records: readonly number[], answer: Answer): Receipt[] {
    const receipt = (outcome: Receipt["outcome"], those: readonly number[]): Receipt => ({
      destination: this.name,
      records: those,
      outcome,
      arrivedMs: this.#history.nowMs(),
      answeredMs: undefined,
      lost: answer.kind === "hang_up" ? "the backend hung up instead of answering" : undefined,
    });
    const receipts = this.#outcomes(records, answer).map(([outcome, those]) => receipt(outcome, those));
    const written = receipts.filter((made) => made.records.length > 0);
    this.#history.receipts.push(...written);
    return written;
  }

  /** Of what is in no branch nothing was taken, and the gateway may come again. */
  #outcomes(records: readonly number[], answer: Answer): [Receipt["outcome"], readonly number[]][] {
    if (answer.kind === "bad") return [["rejected", records]];
    if (answer.kind === "partial") {
      return [
        ["rejected", records.slice(0, answer.rejected)],
        ["taken", records.slice(answer.rejected)],
      ];
    }
    const isTaken = answer.kind === "ok" || answer.kind === "hang_up" || answer.kind === "garbage_body";
    return isTaken ? [["taken", records]] : [];
  }
}
