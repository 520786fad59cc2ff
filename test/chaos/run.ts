import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { RECENT_NAME } from "../../src/queue/segment-log/recent-file.ts";
import { signalbox } from "../e2e/peers.ts";
import { freePort } from "../support/processes.ts";
import { seeded } from "../support/seeded.ts";
import { Backend, type BackendServer } from "./backend.ts";
import {
  type Contender,
  type ContenderName,
  createCollector,
  createSignalbox,
  DESTINATIONS,
  type Ports,
  type Sabotage,
} from "./contenders.ts";
import { BACKEND_FAULTS, DISK_FAULTS, isOneOf, type Lane, type PlannedFault } from "./fault-plan.ts";
import { GrpcBackend } from "./grpc-backend.ts";
import { type Fault, History } from "./history.ts";
import { HttpBackend } from "./http-backend.ts";
import { checkLedgerReport, checkLedgers, type LedgerReport } from "./ledger-check.ts";
import { judge, type Verdict } from "./judge.ts";
import { createGrpcSender, createHttpSender, Load } from "./senders.ts";
import { Supervised } from "./supervised.ts";

export interface RunSettings {
  readonly seed: number;
  readonly plan: readonly PlannedFault[];
  readonly against: ContenderName;
  readonly sabotage?: Sabotage | undefined;
  /** The Collector's binary. */
  readonly collector?: string | undefined;
  /** A folder on a small file system for the queue, and how to fill it; without one the gateway gets a disk that plays tricks. */
  readonly smallDisk?: SmallDisk | undefined;
  readonly say?: (line: string) => void;
}

export interface SmallDisk {
  readonly folder: string;
  fill(): Promise<void>;
  free(): Promise<void>;
}

export interface RunResult {
  readonly history: History;
  readonly verdict: Verdict;
}

/** For open requests to be acknowledged, and for what is queued to arrive, once all faults are over. */
const SETTLE_MS = 40_000;

/** Without a record for so long, nothing more is to come: longer than any wait between two attempts. */
const QUIET_MS = 2_000;

/** Between two faults of a lane at least, however late the lane is: without load in between they would try nothing. */
const PAUSE_MS = 400;

/** Requests of each sender at the same time, and the pause between them: a hundred or two a second, far below what the gateway takes. */
const LOAD = { atATime: 4, pauseMs: 30 };

/** One run: start, load, faults, settle, stop; then the verdict. */
export async function runChaos(settings: RunSettings): Promise<RunResult> {
  const folder = await mkdtemp(join(tmpdir(), "signalbox-chaos-"));
  try {
    return await new Run(settings, folder).run();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

class Run {
  readonly #settings: RunSettings;
  readonly #folder: string;
  readonly #controlPath: string;
  readonly #history = new History();
  #backends: readonly { readonly backend: Backend; readonly server: BackendServer }[] = [];
  #diskFault: string | undefined;

  constructor(settings: RunSettings, folder: string) {
    this.#settings = settings;
    this.#folder = folder;
    this.#controlPath = join(folder, "disk-trouble");
  }

  async run(): Promise<RunResult> {
    using stalls = new DisposableStack();
    stalls.use(this.#history.watchStalls());
    const ports = await this.#startBackends();
    const contender = this.#createContender(ports);
    await contender.writeConfiguration(0);
    const mayEnd = (): boolean => this.#diskFault !== undefined;
    await using gateway = new Supervised(contender, this.#history, mayEnd);
    await gateway.start();
    const senders = [createGrpcSender(ports.grpc), createHttpSender(ports.http)];
    const load = new Load({ history: this.#history, senders, random: seeded(this.#settings.seed), ...LOAD });
    await this.#runFaults(gateway, contender);
    await gateway.ready();
    await load.finish(SETTLE_MS);
    await this.#settle(gateway);
    for (const { server } of this.#backends) await server.cut();
    await this.#checkLedger(contender);
    return { history: this.#history, verdict: judge(this.#history) };
  }

  /** The Collector has no such thing. */
  async #checkLedger({ name, queueFolder }: Contender): Promise<void> {
    if (name !== "signalbox") return;
    await using command = signalbox(["ledger", "--json", "--storage", queueFolder]);
    await command.exit();
    const report = JSON.parse(command.stdout) as LedgerReport;
    const sentences = [...checkLedgers(this.#history), ...checkLedgerReport(report, this.#history)];
    for (const sentence of sentences) this.#history.problem(sentence);
  }

  async #startBackends(): Promise<Ports> {
    const { seed } = this.#settings;
    const [grpc, http, first, second] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const mind = (index: 0 | 1): Backend => {
      const random = seeded(seed * 10 + index + 1);
      return new Backend({ name: DESTINATIONS[index], history: this.#history, random });
    };
    const minds = [mind(0), mind(1)] as const;
    this.#backends = [
      { backend: minds[0], server: new GrpcBackend(minds[0], first) },
      { backend: minds[1], server: new HttpBackend(minds[1], second) },
    ];
    for (const { server } of this.#backends) await server.listen();
    return { grpc, http, backends: [first, second] };
  }

  #createContender(ports: Ports): Contender {
    const { against, collector = "", smallDisk, sabotage } = this.#settings;
    const queueFolder =
      smallDisk === undefined ? join(this.#folder, "queue") : join(smallDisk.folder, `queue-${against}`);
    const settings = { folder: this.#folder, queueFolder, ports };
    if (against === "collector") return createCollector(settings, collector);
    const preload = sabotage ?? "bad-disk";
    const isAsItIs = smallDisk !== undefined && sabotage === undefined;
    return createSignalbox({ ...settings, disk: isAsItIs ? "as it is" : { preload, controlPath: this.#controlPath } });
  }

  /** Each lane in its own time. */
  async #runFaults(gateway: Supervised, contender: Contender): Promise<void> {
    const lanes = Map.groupBy(this.#settings.plan, ({ lane }) => lane);
    const startMs = this.#history.nowMs();
    await Promise.all([...lanes.values()].map((faults) => this.#runLane(faults, startMs, gateway, contender)));
  }

  async #runLane(
    faults: readonly PlannedFault[],
    startMs: number,
    gateway: Supervised,
    contender: Contender,
  ): Promise<void> {
    for (const planned of faults) {
      await sleep(Math.max(startMs + planned.atMs - this.#history.nowMs(), PAUSE_MS));
      const fault: Fault = { ...planned, startMs: this.#history.nowMs(), endMs: Number.POSITIVE_INFINITY };
      this.#history.faults.push(fault);
      await this.#strike(planned, gateway, contender);
      fault.endMs = this.#history.nowMs();
      const times = `${(fault.startMs / 1000).toFixed(1)} s, for ${((fault.endMs - fault.startMs) / 1000).toFixed(1)} s`;
      this.#settings.say?.(`  fault ${fault.id}: ${fault.kind} (${fault.lane}) at ${times}`);
    }
  }

  async #strike({ kind, lane, durationMs }: PlannedFault, gateway: Supervised, contender: Contender): Promise<void> {
    if (isOneOf(BACKEND_FAULTS, kind)) return this.#disturbBackend(kind, lane, durationMs);
    if (isOneOf(DISK_FAULTS, kind)) return this.#disturbDisk(kind, durationMs);
    switch (kind) {
      case "kill":
        await gateway.kill();
        if (durationMs > 0) {
          gateway.spawn();
          await sleep(durationMs);
          await gateway.kill();
        }
        return gateway.start();
      case "power_cut":
        await gateway.kill("lost power");
        await forgetUnsynced(contender.queueFolder);
        return gateway.start();
      case "terminate":
        await gateway.terminate();
        return gateway.start();
      case "stop":
        gateway.signal("SIGSTOP");
        await sleep(durationMs);
        return gateway.signal("SIGCONT");
      case "reload":
        return gateway.reload();
    }
  }

  async #disturbBackend(kind: (typeof BACKEND_FAULTS)[number], lane: Lane, durationMs: number): Promise<void> {
    const { backend, server } = this.#backends[lane === "backend 0" ? 0 : 1]!;
    backend.fault = kind;
    if (kind === "cut") await server.cut();
    await sleep(durationMs);
    backend.fault = undefined;
    if (kind === "cut") await server.listen();
  }

  async #disturbDisk(kind: (typeof DISK_FAULTS)[number], durationMs: number): Promise<void> {
    const { smallDisk } = this.#settings;
    this.#diskFault = kind;
    if (smallDisk === undefined) await writeFile(this.#controlPath, kind);
    else await smallDisk.fill();
    await sleep(durationMs);
    if (smallDisk === undefined) await rm(this.#controlPath);
    else await smallDisk.free();
    this.#diskFault = undefined;
  }

  /** Waits until nothing more comes, stops the gateway, and looks whether it sends anything again when it comes back. */
  async #settle(gateway: Supervised): Promise<void> {
    await this.#quiet();
    await gateway.terminate();
    await gateway.start();
    await this.#quiet();
    await gateway.terminate();
  }

  async #quiet(): Promise<void> {
    const endMs = this.#history.nowMs() + SETTLE_MS;
    let quietSinceMs = this.#history.nowMs();
    let seen = this.#history.receipts.length;
    while (this.#history.nowMs() - quietSinceMs < QUIET_MS && this.#history.nowMs() < endMs) {
      await sleep(50);
      if (this.#history.receipts.length === seen) continue;
      seen = this.#history.receipts.length;
      quietSinceMs = this.#history.nowMs();
    }
  }
}

/** Of the file that the gateway writes without a sync; what it does not sync of the others its bad disk forgets anyway. */
const RECENT_MARK_BYTES = 64;

/** What a power cut does to `recent` (segment-log/recent-file.ts): its notes are gone, and the system has started anew. */
async function forgetUnsynced(queueFolder: string): Promise<void> {
  const path = join(queueFolder, RECENT_NAME);
  const bytes = await readFile(path).catch(() => Buffer.alloc(0));
  if (bytes.length < RECENT_MARK_BYTES) return;
  bytes.fill(0, RECENT_MARK_BYTES);
  bytes.fill(0xff, 8, 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 60)), 60);
  await writeFile(path, bytes);
}
