import { formatComponentId } from "../../core/component-id.ts";
import type { Settings } from "../../core/component.ts";
import type { SignalConsumers } from "../../core/consumer.ts";
import type { Signal } from "../../core/signal.ts";
import type { HttpAnswer, HttpRoute } from "../../net/http-door.ts";
import {
  encodePartialSuccess,
  encodeStatus,
  GRPC_CODES,
  partialSuccessToJson,
  statusToJson,
} from "../../net/rpc-status.ts";
import { MEDIA_TYPES, toHttpAnswer } from "../../net/sender-answers.ts";
import type { BodyEncoding } from "../../net/sender-answers.ts";
import { decodeJsonRequest } from "../../wire/otlp/json-decode.ts";
import { bodyBytesMax } from "./config.ts";
import type { OtlpHttpConfig } from "./config.ts";
import { mapConsumers } from "./consumers.ts";
import type { OtlpIntake } from "./intake.ts";

/** A route for each signal that has a pipeline; the other paths are unknown, as in the Collector. */
export function otlpRoutes(
  intake: OtlpIntake,
  config: OtlpHttpConfig,
  next: SignalConsumers,
  settings: Settings,
): HttpRoute[] {
  const names = new EnumNames(settings);
  const toProtobuf = (signal: Signal, json: Uint8Array): Uint8Array => {
    const decoded = intake.decode(signal, () => decodeJsonRequest(signal, json, { strict: config.strict_json }));
    names.count(decoded.enumNames);
    if (decoded.loneSurrogates > 0) intake.countInvalidText(signal);
    return decoded.bytes;
  };
  const body = {
    sizeMax: bodyBytesMax(config),
    mediaTypes: [MEDIA_TYPES.json, MEDIA_TYPES.protobuf],
    codings: new Set(config.compression_algorithms),
  };
  return mapConsumers(next, (signal, consumer) => {
    const answers = successes(signal);
    return {
      method: "POST",
      path: config[`${signal}_url_path`],
      body,
      handle: async (request) => {
        const encoding = encodingOf(request.mediaType);
        const bytes = encoding === "json" ? toProtobuf(signal, request.body) : request.body;
        await intake.take(signal, consumer, bytes, request);
        return answers[encoding];
      },
      refuse: (error, mediaType) => toHttpAnswer(error, encodingOf(mediaType)),
    };
  });
}

function encodingOf(mediaType: string): BodyEncoding {
  return mediaType === MEDIA_TYPES.json ? "json" : "protobuf";
}

const FAULT_CODES: Readonly<Record<number, number>> = {
  400: GRPC_CODES.INVALID_ARGUMENT,
  404: GRPC_CODES.NOT_FOUND,
  405: GRPC_CODES.UNIMPLEMENTED,
  408: GRPC_CODES.DEADLINE_EXCEEDED,
  413: GRPC_CODES.RESOURCE_EXHAUSTED,
  415: GRPC_CODES.INVALID_ARGUMENT,
  417: GRPC_CODES.INVALID_ARGUMENT,
  431: GRPC_CODES.INVALID_ARGUMENT,
};

/**
 * The body of every 4xx is a Status, in the request's encoding; a request in no encoding of OTLP is answered in JSON,
 * which people can read.
 */
export function httpFault(status: number, message: string, mediaType: string): HttpAnswer {
  const encoding = mediaType === MEDIA_TYPES.protobuf ? "protobuf" : "json";
  const rpcStatus = { code: FAULT_CODES[status] ?? GRPC_CODES.UNKNOWN, message };
  const body = encoding === "json" ? statusToJson(rpcStatus) : encodeStatus(rpcStatus);
  return { status, headers: { "content-type": MEDIA_TYPES[encoding] }, body };
}

/** Full success, whose partial_success OTLP wants unset (the Collector sets it to an empty message). */
function successes(signal: Signal): Readonly<Record<BodyEncoding, HttpAnswer>> {
  const whole = { rejectedItems: 0, message: "" };
  return {
    protobuf: success("protobuf", encodePartialSuccess(signal, whole)),
    json: success("json", partialSuccessToJson(signal, whole)),
  };
}

function success(encoding: BodyEncoding, body: Uint8Array | string): HttpAnswer {
  return { status: 200, headers: { "content-type": MEDIA_TYPES[encoding] }, body };
}

/** JSON with names of enum values is against OTLP and in use: taken, counted, and said once. */
class EnumNames {
  readonly #settings: Settings;
  #wasSeen = false;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  count(names: number): void {
    if (names === 0) return;
    const { id, meter, logger } = this.#settings;
    const labels = { receiver: formatComponentId(id) };
    meter
      .counter("signalbox_receiver_json_enum_names", labels, {
        description: "Enum values that came by name in OTLP/JSON.",
      })
      .add(names);
    if (this.#wasSeen) return;
    this.#wasSeen = true;
    logger.warn(
      "a sender writes names of enum values in OTLP/JSON, which must be numbers; strict_json: true refuses them",
    );
  }
}
