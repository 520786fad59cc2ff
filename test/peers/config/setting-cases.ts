import type { Case } from "./judge.ts";

/** Settings of which no configuration in the Collector's tests asks: is each accepted or refused as it does? */
const RECEIVER_SETTINGS = [
  'grpc: { transport: tcp4, endpoint: "127.0.0.1:0" }',
  'grpc: { transport: tcp6, endpoint: "[::1]:0" }',
  'grpc: { transport: udp, endpoint: "127.0.0.1:0" }',
  'http: { transport: tcp4, endpoint: "127.0.0.1:0" }',
  'grpc: { endpoint: "localhost" }',
  'http: { endpoint: "localhost" }',
  'http: { compression_algorithms: ["", gzip, lz4] }',
  'http: { compression_algorithms: ["", gzip, zstd, zlib, snappy, deflate, lz4, x-snappy-framed] }',
];

const COMPRESSIONS = ["gzip", "zstd", "zlib", "deflate", "snappy", "x-snappy-framed", "lz4", "none", "br", '""'];
const CIPHERS = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", "RC4"];

const EXPORTER_SETTINGS = [
  'otlp_grpc: { endpoint: "localhost" }',
  'otlp_grpc: { endpoint: "localhost:" }',
  'otlp_http: { endpoint: "localhost" }',
  'otlp_http: { endpoint: "http://localhost" }',
  ...COMPRESSIONS.flatMap((name) => [
    `otlp_grpc: { endpoint: "localhost:4317", compression: ${name} }`,
    `otlp_http: { endpoint: "http://localhost:4318", compression: ${name} }`,
  ]),
  ...CIPHERS.map((name) => `otlp_grpc: { endpoint: "localhost:4317", tls: { cipher_suites: [${name}] } }`),
];

export function settingCases(): Case[] {
  return [
    ...RECEIVER_SETTINGS.map((setting) => caseOf(setting, setting, "debug:")),
    ...EXPORTER_SETTINGS.map((setting) => caseOf(setting, 'grpc: { endpoint: "127.0.0.1:0" }', setting)),
  ];
}

function caseOf(id: string, protocols: string, exporter: string): Case {
  const name = exporter.slice(0, exporter.indexOf(":"));
  const text = `
receivers: { otlp: { protocols: { ${protocols} } } }
# Started where only its start tells.
exporters: { ${exporter} }
service: { telemetry: { metrics: { level: none } }, pipelines: { logs: { receivers: [otlp], exporters: [${name}] } } }
`;
  return { id, configs: ["config.yaml"], files: { "config.yaml": text } };
}
