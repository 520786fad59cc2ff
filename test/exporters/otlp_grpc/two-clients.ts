import { systemClock } from "../../../src/core/clock.ts";
import { otlpGrpcConfig, type OtlpGrpcConfig } from "../../../src/exporters/otlp_grpc/config.ts";
import {
  type ClientSettings,
  createGrpcJsClient,
  createHttp2Client,
  type ExporterClient,
} from "../../../src/exporters/otlp_grpc/clients.ts";

/** Both clients under the same settings: what one promises, the other must. */
export const CLIENTS = [
  ["grpc-js", createGrpcJsClient],
  ["node:http2", createHttp2Client],
] as const;

export type CreateClient = (typeof CLIENTS)[number][1];

/** To a plain-text target. `config` is what is not the Collector's default. */
export function openClient(
  create: CreateClient,
  target: string,
  config: Partial<Record<keyof OtlpGrpcConfig, unknown>> = {},
): ExporterClient {
  const parsed = otlpGrpcConfig.parse({ endpoint: "localhost:4317", ...config });
  const settings: ClientSettings = { target, headers: {}, config: parsed, clock: systemClock };
  return create(settings, undefined);
}
