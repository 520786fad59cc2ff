import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { ClientMetadata } from "../core/client-metadata.ts";
import type { DoorArrival, DoorLease } from "../core/component.ts";
import { ConsumeError } from "../core/errors.ts";
import { DOOR_WAIT_MS_DEFAULT } from "../core/limits.ts";
import type { UnreadReason } from "../core/unread-request.ts";
import { boundedHeaders } from "./client-headers.ts";
import type { GrpcCall, GrpcCallEnd, GrpcHandler } from "./grpc-door.ts";
import { GrpcMessageReader } from "./grpc-message.ts";
import { readRequestHead } from "./grpc-request-head.ts";
import type { HttpRefusal } from "./grpc-request-head.ts";
import { senderHeaders } from "./grpc-wire.ts";
import { respondHttp, respondOk, respondStatus } from "./http2-answers.ts";
import { STREAM_BYTES } from "./http2-bounds.ts";
import type { Http2CallHost } from "./http2-call-host.ts";
import { decodeLeased } from "./leased-decode.ts";
import { GRPC_CODES } from "./rpc-status.ts";
import type { RpcStatus } from "./rpc-status.ts";
import { toRpcStatus } from "./sender-answers.ts";
import { unreadReason } from "./unread-reason.ts";

/**
 * reading: the message, or the lease for it, is not there yet. handling: it is, and the handler has it. answered: the
 * answer is on its way, and what still comes is thrown away. gone: the stream is closed.
 */
type Phase = "reading" | "handling" | "answered" | "gone";

/** The clock's own step: who gives less has given up before anything can be answered. */
const TIMEOUT_MIN_MS = 1;

/** One unary call on its stream, from its headers to its status. */
export class Http2Call implements GrpcCall, DoorArrival {
  /** Milliseconds since the epoch, as the handler gets it. */
  deadline = Number.POSITIVE_INFINITY;
  readonly #stream: ServerHttp2Stream;
  readonly #rawHeaders: readonly string[];
  readonly #host: Http2CallHost;
  readonly #reader = new GrpcMessageReader();
  #phase: Phase = "reading";
  #handler: GrpcHandler | undefined;
  #tellEnd: GrpcCallEnd | undefined;
  /** Of the message, where its flag says that it is compressed. */
  #coding: string | undefined;
  #abort: AbortController | undefined;
  #client: ClientMetadata | undefined;
  #lease: DoorLease | undefined;
  #leasedAtMs = 0;
  /** Since when it waits for a larger lease than it has. */
  #growingSinceMs: number | undefined;
  #unleasedBytes = 0;
  #hasEnded = false;
  /** When the client gives up, by its grpc-timeout. */
  #timeoutAtMs = Number.POSITIVE_INFINITY;
  /** When the phase must be over, apart from that. */
  #phaseEndMs = Number.POSITIVE_INFINITY;

  constructor(stream: ServerHttp2Stream, rawHeaders: readonly string[], host: Http2CallHost) {
    this.#stream = stream;
    this.#rawHeaders = rawHeaders;
    this.#host = host;
  }

  get client(): ClientMetadata {
    this.#client ??= new ClientMetadata(
      "grpc",
      this.#host.address,
      boundedHeaders(senderHeaders(this.#rawHeaders)),
      this.#host.settings.includeMetadata,
    );
    return this.#client;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  get receivedSize(): number {
    return this.#reader.receivedSize;
  }

  giveWay(error: ConsumeError): void {
    this.#refuseUnread(error);
  }

  /** Whether the door had its say before the stream was gone. */
  get isAnswered(): boolean {
    return this.#phase === "answered";
  }

  /** Begins to listen to the stream, and refuses what its headers alone show to be wrong before a byte is read. */
  open(headers: IncomingHttpHeaders): void {
    const stream = this.#stream;
    // A stream that fails says so here and in "close", where it is dealt with; without a listener it would be thrown.
    stream.on("error", ignore);
    stream.on("close", () => this.#onClose());
    stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    stream.on("end", () => this.#onEnd());
    this.#readHead(headers);
  }

  /** Called every bounds.tickMs. */
  tick(nowMs: number): void {
    switch (this.#phase) {
      case "reading":
        return this.#tickReading(nowMs);
      case "handling":
        if (nowMs >= this.#timeoutAtMs) this.#expire();
        return;
      case "answered":
        if (nowMs >= this.#phaseEndMs) this.#stream.close(constants.NGHTTP2_CANCEL);
        return;
      case "gone":
        return;
    }
  }

  #tickReading(nowMs: number): void {
    const { bodyGraceMs, bodyBytesPerSecondMin } = this.#host.bounds;
    const { declaredSize, receivedSize } = this.#reader;
    // A paused stream that its client closed without an error says so only when it is read to its end.
    if (this.#stream.closed) return this.#onGone();
    if (nowMs >= this.#timeoutAtMs) return this.#expire();
    const isSlow =
      this.#lease !== undefined &&
      this.#growingSinceMs === undefined &&
      receivedSize < ((nowMs - this.#leasedAtMs - bodyGraceMs) * bodyBytesPerSecondMin) / 1000;
    if (isSlow || nowMs >= this.#phaseEndMs) {
      const came = declaredSize < 0 ? "nothing" : `${receivedSize} of ${declaredSize} bytes`;
      const message = `the message comes too slowly: ${came} came`;
      return this.#refuseUnread(new ConsumeError("retryable", message, { reason: "too_slow" }));
    }
    // While it waits for its lease nobody reads the stream, so this is where too much shows.
    if (declaredSize >= 0 && receivedSize + this.#stream.readableLength > declaredSize) this.#refuseSecondMessage();
  }

  #readHead(headers: IncomingHttpHeaders): void {
    const { settings, bounds } = this.#host;
    const { methods, elsewhere, observer } = settings;
    const path = headers[":path"] ?? "";
    if (methods.has(path)) this.#tellEnd = observer?.onCall?.(path);
    const head = readRequestHead(headers, this.#rawHeaders, {
      methods,
      headerBytesMax: bounds.headerBytesMax,
      ...(elsewhere !== undefined && { elsewhere }),
    });
    if (head.kind === "http") return this.#answerHttp(head);
    if (head.kind === "status") {
      if (methods.has(path)) this.#tellUnread("request_head");
      return this.#refuse(head.status);
    }
    const nowMs = settings.clock.nowMs();
    this.#handler = head.handler;
    this.#coding = head.coding;
    this.#timeoutAtMs = nowMs + head.timeoutMs;
    this.#phaseEndMs = nowMs + bounds.bodyMs;
    if (head.timeoutMs < TIMEOUT_MIN_MS) return this.#expire();
    if (!this.#hold(STREAM_BYTES)) this.#refuseFull();
  }

  #onData(chunk: Buffer): void {
    if (this.#phase !== "reading") return;
    const reader = this.#reader;
    const knewSize = reader.declaredSize >= 0;
    reader.push(chunk);
    if (reader.isOver) return this.#refuseSecondMessage();
    if (!knewSize && reader.declaredSize >= 0) return this.#onPrefix();
    // The lease is there one microtask after the prefix where there is room: before the next chunk. Else the flow stops:
    // what node:http2 has taken in stays in its buffer, and the sender's window is not given back.
    if (!knewSize) return;
    if (this.#lease === undefined || this.#growingSinceMs !== undefined) this.#stream.pause();
    else if (reader.isShort) this.#grow();
  }

  #onPrefix(): void {
    const { settings } = this.#host;
    const { flag, declaredSize } = this.#reader;
    if (flag > 1) return this.#refuseProtocol(`found the flag ${flag} in front of the message, expected 0 or 1`);
    if (flag === 1 && this.#coding === undefined) {
      return this.#refuseProtocol("the message is marked as compressed, and there is no grpc-encoding");
    }
    if (declaredSize > settings.messageBytesMax) return this.#refuseTooLarge(declaredSize);
    if (!this.#holdMessage()) return this.#refuseFull();
    this.#phaseEndMs = Number.POSITIVE_INFINITY;
    this.#obtainLease(Math.min(declaredSize, settings.budget.stepBytes));
  }

  /** The message is larger than its first lease, and more than that has come. */
  #grow(): void {
    this.#stream.pause();
    this.#growingSinceMs = this.#host.settings.clock.nowMs();
    this.#phaseEndMs = Number.POSITIVE_INFINITY;
    if (!this.#holdMessage()) return this.#refuseFull();
    this.#obtainLease(this.#reader.declaredSize);
  }

  #obtainLease(bytes: number): void {
    this.#acquire(bytes).then(
      (lease) => this.#onLease(lease, bytes),
      (error: unknown) => this.#refuseUnread(ConsumeError.from(error)),
    );
  }

  /** Beside a lease it has already. */
  #acquire(bytes: number): Promise<DoorLease> {
    const { settings, sender } = this.#host;
    const claim = { holding: this.#lease, sender };
    return settings.budget.acquire(bytes, this.#waitUntilMs(), this.signal, claim);
  }

  /** The client's own deadline, or ours from now where it has none. */
  #waitUntilMs(): number {
    if (this.#timeoutAtMs !== Number.POSITIVE_INFINITY) return this.#timeoutAtMs;
    return this.#host.settings.clock.nowMs() + DOOR_WAIT_MS_DEFAULT;
  }

  #onLease(lease: DoorLease, bytes: number): void {
    if (this.#phase !== "reading") return lease.release();
    this.#startReading();
    this.#reader.admit(bytes);
    this.#lease?.release();
    this.#lease = lease;
    if (this.#reader.isShort) return this.#grow();
    this.#hold(0);
    if (!this.#hasEnded) lease.watch(this);
    if (this.#hasEnded) void this.#handle();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  /** Its time runs from the first lease on; a wait for a larger one does not count. */
  #startReading(): void {
    const nowMs = this.#host.settings.clock.nowMs();
    if (this.#growingSinceMs === undefined) this.#leasedAtMs = nowMs;
    else this.#leasedAtMs += nowMs - this.#growingSinceMs;
    this.#growingSinceMs = undefined;
    this.#phaseEndMs = this.#leasedAtMs + this.#host.bounds.bodyMs;
  }

  #onEnd(): void {
    this.#hasEnded = true;
    if (this.#phase !== "reading") return;
    if (!this.#reader.isWhole) {
      this.#host.settings.observer?.onAbortedRequest();
      this.#refuse(toRpcStatus(new ConsumeError("retryable", "the request ended before its message was whole")));
    } else if (this.#lease !== undefined && this.#growingSinceMs === undefined) void this.#handle();
  }

  async #handle(): Promise<void> {
    if (this.#isLate()) return this.#expire();
    this.#phase = "handling";
    this.#lease!.watch(undefined);
    try {
      const request = this.#reader.flag === 0 ? this.#reader.take() : await this.#decode(this.#coding!);
      // A client that has given up sends it again: taken now, it would be there twice.
      if (this.#isLate()) return this.#expire();
      this.deadline = this.#waitUntilMs();
      this.#answer(await this.#handler!(request, this));
    } catch (error) {
      this.#refuse(toRpcStatus(ConsumeError.from(error)));
    } finally {
      this.#release();
    }
  }

  #isLate(): boolean {
    return this.#timeoutAtMs !== Number.POSITIVE_INFINITY && this.#host.settings.clock.nowMs() >= this.#timeoutAtMs;
  }

  async #decode(coding: string): Promise<Buffer> {
    const decoded = await decodeLeased(coding, this.#reader.take(), {
      sizeMax: this.#host.settings.messageBytesMax,
      acquire: (bytes) => this.#acquire(bytes),
    }).catch((error: unknown) => {
      if (this.#phase === "handling") this.#tellUnread(unreadReason(ConsumeError.from(error)));
      throw error;
    });
    this.#release();
    this.#lease = decoded.lease;
    this.#reader.drop();
    return decoded.body;
  }

  #answer(response: Uint8Array): void {
    if (this.#phase !== "handling") return;
    this.#setAnswered();
    respondOk(this.#stream, response);
    this.#tellEnd?.(GRPC_CODES.OK);
  }

  /** Before the handler had the message. */
  #refuseUnread(error: ConsumeError): void {
    if (this.#phase !== "reading") return;
    this.#tellUnread(unreadReason(error));
    this.#refuse(toRpcStatus(error));
  }

  #tellUnread(reason: UnreadReason): void {
    this.#host.settings.observer?.onRefusedUnread({ reason, bytes: Math.max(0, this.#reader.declaredSize) });
  }

  /** The call ends with this status; trailers-only, since no message of ours has left. */
  #refuse(status: RpcStatus): void {
    if (this.#phase !== "reading" && this.#phase !== "handling") return;
    this.#setAnswered();
    if (respondStatus(this.#stream, status)) this.#stopRequest();
    this.#tellEnd?.(status.code);
  }

  #answerHttp(refusal: HttpRefusal): void {
    this.#setAnswered();
    respondHttp(this.#stream, refusal);
  }

  /** An answer that did not wait for the request's end: RST_STREAM with NO_ERROR asks the client to stop sending (RFC 9113, 8.1). */
  #stopRequest(): void {
    if (!this.#hasEnded) this.#stream.close(constants.NGHTTP2_NO_ERROR);
    // A paused stream would keep what it holds for ever; from now on onData() throws it away.
    this.#stream.resume();
  }

  #setAnswered(): void {
    this.#host.onAnswering();
    if (this.#phase === "reading") this.#release();
    this.#phase = "answered";
    this.#phaseEndMs = this.#host.settings.clock.nowMs() + this.#host.bounds.lingerMs;
    this.#hold(0);
    this.#reader.drop();
  }

  #refuseProtocol(message: string): void {
    if (this.#phase === "reading") this.#tellUnread("protocol");
    this.#refuse({ code: GRPC_CODES.INTERNAL, message });
  }

  #refuseSecondMessage(): void {
    this.#refuseProtocol(`a unary call takes one message, found more behind its ${this.#reader.declaredSize} bytes`);
    this.#abort?.abort();
  }

  #refuseTooLarge(size: number): void {
    const message = `the request message is ${size} bytes, over the limit of ${this.#host.settings.messageBytesMax} bytes; send smaller batches`;
    this.#refuseUnread(new ConsumeError("too_large", message));
  }

  #refuseFull(): void {
    const message = `no room at the doors: requests that wait hold ${this.#host.unleased.bytes} bytes`;
    this.#refuseUnread(new ConsumeError("refused", message, { reason: "waiting_requests" }));
  }

  /** The client's time is over. The handler is told; it gives the lease back when it is done. */
  #expire(): void {
    if (this.#phase === "reading") this.#tellUnread("deadline");
    this.#refuse({ code: GRPC_CODES.DEADLINE_EXCEEDED, message: "the client's deadline has passed" });
    this.#abort?.abort();
  }

  /** The client has cancelled or gone, or the connection has ended. */
  #onGone(): void {
    if (this.#phase !== "reading" && this.#phase !== "handling") return;
    if (this.#phase === "reading") {
      this.#host.settings.observer?.onAbortedRequest();
      this.#release();
    }
    this.#phase = "gone";
    this.#tellEnd?.(GRPC_CODES.CANCELLED);
    this.#hold(0);
    this.#reader.drop();
    this.#abort?.abort();
    // Lets a paused stream come to its end.
    this.#stream.resume();
  }

  #onClose(): void {
    this.#onGone();
    this.#host.onCallClosed(this);
  }

  #release(): void {
    this.#lease?.release();
    this.#lease = undefined;
  }

  /** Also what node:http2 has taken in of the message while nobody reads it. */
  #holdMessage(): boolean {
    const { declaredSize, receivedSize } = this.#reader;
    const heldMax = 2 * this.#host.bounds.streamWindowBytes;
    const leasedSize = this.#growingSinceMs === undefined ? 0 : receivedSize;
    return this.#hold(STREAM_BYTES + Math.min(declaredSize - leasedSize, heldMax));
  }

  /** Counts what this call holds without a lease. False where there is no room for more. */
  #hold(bytes: number): boolean {
    if (!this.#host.unleased.change(bytes - this.#unleasedBytes)) return false;
    this.#unleasedBytes = bytes;
    return true;
  }
}

function ignore(): void {}
