import type { SignalConsumers } from "../../core/consumer.ts";
import type { GrpcHandler } from "../../net/grpc-door.ts";
import { OTLP_METHODS } from "../../net/otlp-methods.ts";
import { encodePartialSuccess } from "../../net/rpc-status.ts";
import { mapConsumers } from "./consumers.ts";
import type { OtlpIntake } from "./intake.ts";

/** The Export method of each signal that has a pipeline; gRPC answers UNIMPLEMENTED for the others, as the Collector's does. */
export function otlpMethods(intake: OtlpIntake, next: SignalConsumers): ReadonlyMap<string, GrpcHandler> {
  const entries = mapConsumers(next, (signal, consumer): [string, GrpcHandler] => {
    const success = encodePartialSuccess(signal, { rejectedItems: 0, message: "" });
    const handle: GrpcHandler = async (request, call) => {
      await intake.take(signal, consumer, request, call);
      return success;
    };
    return [OTLP_METHODS[signal], handle];
  });
  return new Map(entries);
}
