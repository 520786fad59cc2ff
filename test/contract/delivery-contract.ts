/** One of the nine points of the delivery contract, and the tests that hold it: their names are its promises. */
export interface ContractPoint {
  readonly title: string;
  readonly meaning: string;
  readonly promises: readonly PromisesOf[];
}

export interface PromisesOf {
  /** Below test/. */
  readonly file: string;
  /** As they stand there; run one with `npx vitest run test/<file> -t "<name>"`. */
  readonly names: readonly string[];
}

const ADMISSION = "contract/admission-contract.ts";

export const DELIVERY_CONTRACT: readonly ContractPoint[] = [
  {
    title: "Accepted means kept",
    meaning:
      "A success answer leaves after the commit: every required destination has the batch in its queue or, without one, delivered it.",
    promises: [
      {
        file: ADMISSION,
        names: ["answers once every required destination has the batch in its queue, before any backend has it"],
      },
      {
        file: "queue/journal.test.ts",
        names: ["answers no sender before the append that holds its admission has ended"],
      },
      {
        file: "queue/segment-log/segment-log.test.ts",
        names: ["gives back after a restart what was admitted and not completed, byte for byte"],
      },
      {
        file: "queue/segment-log/segment-log-model.test.ts",
        names: [
          "never loses what it acknowledged, never brings back what is completed or refused, and keeps totals, seen keys and state",
        ],
      },
      {
        file: "extensions/file_storage/file-storage.test.ts",
        names: ["keeps what was accepted over a restart, and the ledger says so"],
      },
    ],
  },
  {
    title: "Admission is one decision",
    meaning:
      "Over all pipelines and destinations; a refusal leaves nothing behind, a crash leaves all or nothing. Room, then destinations without a queue, then one append.",
    promises: [
      {
        file: ADMISSION,
        names: [
          "finds nothing in the other destinations when the last of three, over two pipelines, refuses",
          "waits for a branch that still awaits when another has rejected, and then leaves nothing behind",
          "refuses where a destination without a queue refuses, after all of them have settled, and gives room back",
          "lets a second request with a key join the outcome of the first, and forgets the key when that fails",
        ],
      },
      {
        file: "queue/admission-model.test.ts",
        names: ["admission, room, storage and shutdown do what the model does, in every step of random runs"],
      },
      {
        file: "queue/journal.test.ts",
        names: [
          "stores seen keys and state with the admission, or not at all",
          "refuses the group, retryably, gives its room back, and says so once",
          "rejects only the group that failed",
        ],
      },
      {
        file: "contract/fan-out.test.ts",
        names: ["of a processor refuses the request, and leaves nothing in the queue of any pipeline"],
      },
    ],
  },
  {
    title: "Room is fair",
    meaning:
      "Waiters stand in one list by arrival; one takes all its room or none; one that lacks room closes only the queues in which it does.",
    promises: [
      {
        file: "queue/room.test.ts",
        names: [
          "takes nothing anywhere while one queue has no room",
          "lets waiters go on by arrival, so that a small one does not overtake a large one",
          "makes a newcomer wait behind one who lacks room in the same queue, though it would fit",
          "lets the oldest have what one admission gives back in several queues, before a younger one looks",
          "delays nobody who does not need the full queue",
          "closes, for those behind, every queue in which a waiter has come to lack room",
          "lets those behind go on when the one who held them back leaves",
        ],
      },
      { file: ADMISSION, names: ["refuses at once, as too large, what exceeds a whole queue, and says both numbers"] },
      {
        file: "queue/door-budget.test.ts",
        names: ["serves by arrival: a small request does not overtake a large one"],
      },
      {
        file: "queue/delivery-order.test.ts",
        names: [
          "leave in the order in which they were admitted, also when the first has to be tried again",
          "leave in that order after a kill, those first that were in flight",
          "leave in that order after a shutdown that broke off what was in flight",
          "stay in that order in a partition, whatever other partitions do",
        ],
      },
    ],
  },
  {
    title: "Destinations are required or best effort",
    meaning:
      "A dead backend delays no other while its queue has room; a full best-effort queue drops by its policy, counted; what is in flight is never evicted.",
    promises: [
      {
        file: "contract/fan-out.test.ts",
        names: [
          "stops nobody else's delivery: the others have the batch while it is away, and it gets it when it is back",
          "required: refuses the sender for now, and nobody else has the batch",
          "required, drop_oldest: delays nobody",
          "best effort: drops its own copy, counted, and the others have theirs",
          "is as written, else by its kind and by who stands beside it: $delivery",
        ],
      },
      {
        file: "queue/behaviours.test.ts",
        names: [
          "delivers everything once to backends that are well, slow, flaky, and dead for a while; none delays another",
        ],
      },
      {
        file: "queue/sending-queue.test.ts",
        names: [
          "drops what comes to a best-effort destination, counted, and makes nobody wait",
          "pushes the oldest out with drop_oldest, but never what is in flight",
        ],
      },
      {
        file: "queue/room.test.ts",
        names: ["lets a source without a deadline wait for a blocking queue without end"],
      },
      {
        file: "queue/dead-letters.test.ts",
        names: [
          "makes nobody wait: the other destination gets everything at once, the overflow is kept in the same append",
        ],
      },
      {
        file: "service/delivery-bad-input.test.ts",
        names: ["required queues of one receiver in different storages", "a pipeline without a required destination"],
      },
    ],
  },
  {
    title: "Wait before refusing",
    meaning:
      "The door waits for room until the client's deadline less a margin, then refuses with a hint. Memory pressure is a condition of room.",
    promises: [
      {
        file: "contract/full-queue.test.ts",
        names: ["costs the stock Node gRPC exporter no record at 400 records a second"],
      },
      {
        file: "queue/room.test.ts",
        names: [
          "refuses half a second before the sender's deadline",
          "leaves a slow storage four of its slow syncs, but never more than half of the timeout",
          "answers a sender without a deadline after five seconds",
          "ends a wait when the sender has gone, and takes nothing for it",
          "gives no room under hard memory pressure, and gives it when that is over",
        ],
      },
      {
        file: "queue/door-budget.test.ts",
        names: ["lets doors wait under soft pressure", "refuses at hard pressure, those who wait too, with a hint"],
      },
      { file: "net/sender-answers.test.ts", names: ["to %s tells when to try again only where that makes sense"] },
      {
        file: "e2e/overload.test.ts",
        names: [
          "waits, refuses with hints and stays under ${CAP_MIB} MiB for ${OVERLOAD_S} s, recovers, and its ledger balances",
        ],
      },
    ],
  },
  {
    title: "Nothing vanishes",
    meaning: "The ledger's equations hold at any moment, and across SIGKILL where there is a storage.",
    promises: [
      {
        file: "e2e/ledger-kill.test.ts",
        names: ["holds at every sample over ${KILLS} kills, and agrees with what senders and two backends count"],
      },
      {
        file: "e2e/file-storage.test.ts",
        names: [
          "a gateway that is killed while its queue drains and nobody sends: only requests under way come again",
          "after a kill: records cut or zeroed off its end that were acknowledged are said to be damage, with their number",
        ],
      },
      {
        file: "queue/segment-log/missing-segments.test.ts",
        names: [
          "is named with its records and bytes: %s",
          "is never said of one that went in order, over restarts, kills and power cuts",
        ],
      },
      {
        file: "e2e/ledger-command.test.ts",
        names: ["shows the same of a running gateway, of one that was killed, and of the next"],
      },
      {
        file: "queue/ledger.test.ts",
        names: [
          "counts a refused batch as refused, whatever was dropped of it, so that its next try counts anew",
          "holds while a request waits for its answer, and shows one that nobody settles",
          "shows the earlier totals of every receiver, pipeline and destination at once, before anything comes in",
          "books once what damage took of the entries, says it, and adds up from then on",
          "have both sides of each account in one family, whose sums are equal",
        ],
      },
      {
        file: "e2e/refused-unread.test.ts",
        names: [
          "for want of memory are in the metrics, in the ledger and in what is printed at the end, over HTTP and %s",
        ],
      },
      {
        file: "queue/segment-log/damage.test.ts",
        names: [
          "starts, says what is lost and whose, sets it aside, delivers the rest exactly once, and the ledger balances",
        ],
      },
    ],
  },
  {
    title: "Partial success says only how many",
    meaning:
      "Count and text are recorded as rejected; the request is kept aside only on request, and left out of replays.",
    promises: [
      { file: "queue/sending-queue.test.ts", names: ["counts what a backend rejected in part as rejected"] },
      {
        file: "queue/dead-letters.test.ts",
        names: [
          "is counted and not kept, unless asked; kept, it is marked and left out of a replay that does not name it",
        ],
      },
      {
        file: "net/backend-answers.property.test.ts",
        names: ["as a partial success counts no more items than were sent, and no fewer than none"],
      },
    ],
  },
  {
    title: "Shutdown has a deadline",
    meaning:
      "Stop accepting, refuse those who wait for room, drain what can be drained, leave the rest in storage, say so.",
    promises: [
      { file: ADMISSION, names: ["settles every admission when it shuts down"] },
      { file: "queue/room.test.ts", names: ["refuses all who wait at shutdown, and still admits what fits"] },
      { file: "queue/door-budget.test.ts", names: ["refuses those who wait at shutdown"] },
      {
        file: "queue/sending-queue.test.ts",
        names: [
          "drains without waiting for company or for a long backoff",
          "tries a dead backend once a second until patience ends, then says what is lost",
          "breaks attempts off at the end, and does not wait for an exporter that ignores it",
          "leaves what it could not send in a storage that lasts, for the next start",
          "is idempotent, and legal before start",
        ],
      },
      { file: "net/http-door.test.ts", names: ["cuts requests off when patience ends"] },
    ],
  },
  {
    title: "A reload cannot hurt",
    meaning:
      "An admission ends on the generation it began with; sockets and queues belong to the service; what is removed is parked, named, and goes on when it is back, or where a command sends it.",
    promises: [
      {
        file: "queue/replace.test.ts",
        names: [
          "has all that was queued in its new queue, in its order, and none of it twice",
          "goes on with its queue, its exporter and the attempts under way",
          "is parked with all it has, named in the log, and goes on when it is back",
          "still takes the admissions that were opened while it was there",
          "keeps what it accepted when its queue becomes smaller, and counts it in the new unit",
        ],
      },
      {
        file: "queue/ledger.test.ts",
        names: ["balances a pipeline over a reload that takes away the processor that dropped"],
      },
      {
        file: "queue/queue-desk.test.ts",
        names: [
          "is sent there once, oldest first, is evicted{moved} here and replayed there, and nothing of it is parked",
          "is in one place or the other after a crash at any write, and the ledger holds over all runs",
          "is gone for good, as dropped{by_command}",
        ],
      },
      {
        file: "e2e/queues-command.test.ts",
        names: ["loses nothing of a move that SIGKILL cuts, and the next move takes the rest"],
      },
      {
        file: "e2e/reload-tls.test.ts",
        names: [
          "of receivers with TLS fails no request over gRPC or HTTPS, and those who connect later see the new certificate",
          "keeps the listening sockets while connections stand that have not spoken, and answers these: %s",
        ],
      },
      {
        file: "e2e/reload-clients.test.ts",
        names: ["fails no call of grpcio, of grpc-js or over HTTP: $engine, $how"],
      },
    ],
  },
];
