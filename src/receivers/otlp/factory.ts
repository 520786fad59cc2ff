import type { ReceiverFactory } from "../../core/component.ts";
import { SIGNALS } from "../../core/signal.ts";
import { bodyBytesMax, messageBytesMax, otlpReceiverConfig } from "./config.ts";
import type { OtlpReceiverConfig } from "./config.ts";
import { OtlpReceiver } from "./receiver.ts";

export const otlpReceiverFactory: ReceiverFactory<OtlpReceiverConfig> = {
  kind: "receiver",
  type: "otlp",
  config: otlpReceiverConfig,
  signals: SIGNALS,
  requestBytesMax: ({ protocols: { grpc, http } }) =>
    Math.max(grpc === undefined ? 0 : messageBytesMax(grpc), http === undefined ? 0 : bodyBytesMax(http)),
  create: (settings, config, next) => new OtlpReceiver(settings, config, next),
};
