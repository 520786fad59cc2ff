import type { DoorArrival, DoorLease, DoorSender } from "../core/component.ts";
import type { ConsumeError } from "../core/errors.ts";

/**
 * What a body must bring while others wait: so much a second, and all that its lease covers in two minutes. The bet: an
 * honest sender has 128 kbit/s for a small request, and 4 Mbit/s for one of 64 MiB (less could not end within the doors'
 * minute in any case). Lost: it is refused with a hint and comes again, when nobody else waits it may take its time.
 */
const BYTES_PER_SECOND_MIN = 16 * 1024;
const LEASE_SECONDS_MAX = 120;

/** How long a body may be silent. The bet: a lost packet is sent again within that. */
const STALL_MS = 1_000;

/** Where leases are counted. */
export interface LeaseLedger {
  change(lease: Lease, bytes: number): void;
  watch(lease: Lease): void;
  unwatch(lease: Lease): void;
  nowMs(): number;
}

/** Bytes of one request. What it is for, small or large, does not change with its size. */
export class Lease implements DoorLease {
  readonly isLarge: boolean;
  readonly sender: DoorSender | undefined;
  /** When it was asked for, among all: of those that must give way, the youngest is the first. */
  readonly order: number;
  /** Its request waits for a larger one, and reads nothing meanwhile. */
  isWaiting = false;
  readonly #ledger: LeaseLedger;
  #bytes = 0;
  #isReleased = false;
  #arrival: DoorArrival | undefined;
  #lookedMs = 0;
  #lookedSize = 0;
  #isStalled = false;

  constructor(
    ledger: LeaseLedger,
    settings: { readonly isLarge: boolean; readonly order: number; readonly sender: DoorSender | undefined },
  ) {
    this.#ledger = ledger;
    this.isLarge = settings.isLarge;
    this.order = settings.order;
    this.sender = settings.sender;
  }

  get bytes(): number {
    return this.#bytes;
  }

  resize(bytes: number): void {
    if (this.#isReleased) return;
    const change = bytes - this.#bytes;
    this.#bytes = bytes;
    this.#ledger.change(this, change);
  }

  watch(arrival: DoorArrival | undefined): void {
    if (this.#isReleased || arrival === this.#arrival) return;
    this.#arrival = arrival;
    if (arrival === undefined) return this.#ledger.unwatch(this);
    this.#lookedMs = this.#ledger.nowMs();
    this.#lookedSize = arrival.receivedSize;
    this.#isStalled = false;
    this.#ledger.watch(this);
  }

  release(): void {
    if (this.#isReleased) return;
    this.watch(undefined);
    this.resize(0);
    this.#isReleased = true;
  }

  /**
   * Whether its body has not come as it must since it was looked at, twice in a row: between two looks sockets are read, so
   * that a sender does not pay for a loop of ours that was busy.
   */
  isTooSlow(nowMs: number): boolean {
    const { receivedSize = 0 } = this.#arrival ?? {};
    const elapsedMs = nowMs - this.#lookedMs;
    if (this.#arrival === undefined || elapsedMs < STALL_MS) return false;
    const wanted = (elapsedMs / 1000) * Math.max(BYTES_PER_SECOND_MIN, this.#bytes / LEASE_SECONDS_MAX);
    const wasStalled = this.#isStalled;
    this.#isStalled = receivedSize - this.#lookedSize < wanted;
    if (this.#isStalled) return wasStalled;
    this.#lookedMs = nowMs;
    this.#lookedSize = receivedSize;
    return false;
  }

  giveWay(error: ConsumeError): void {
    const arrival = this.#arrival;
    this.watch(undefined);
    arrival?.giveWay(error);
  }
}
