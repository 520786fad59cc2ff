import { describe, expect, it } from "vitest";
import { bodyBytesMax, messageBytesMax, otlpReceiverConfig, streamsMax } from "../../../src/receivers/otlp/config.ts";

const MIB = 1024 * 1024;

function problemsOf(config: unknown): string[] {
  const parsed = otlpReceiverConfig.safeParse(config);
  return (parsed.error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

describe("the configuration of receivers/otlp", () => {
  it("is off for a protocol that is absent, and on with defaults for one that stands alone", () => {
    const { protocols } = otlpReceiverConfig.parse({ protocols: { grpc: null } });
    expect(protocols.http).toBeUndefined();
    expect(protocols.grpc).toMatchObject({ endpoint: "localhost:4317", include_metadata: false });
    const { http } = otlpReceiverConfig.parse({ protocols: { http: null } }).protocols;
    expect(http).toMatchObject({ endpoint: "localhost:4318", logs_url_path: "/v1/logs", strict_json: false });
  });

  it("wants a protocol, in the Collector's words", () => {
    const wanted = ["protocols: must specify at least one protocol when using the OTLP receiver"];
    expect([problemsOf({}), problemsOf({ protocols: {} })]).toEqual([wanted, wanted]);
  });

  it("takes 64 MiB where the size is not set or 0", () => {
    const { grpc, http } = otlpReceiverConfig.parse({ protocols: { grpc: null, http: null } }).protocols;
    expect([messageBytesMax(grpc!), streamsMax(grpc!), bodyBytesMax(http!)]).toEqual([64 * MIB, 1000, 64 * MIB]);
    const zero = otlpReceiverConfig.parse({ protocols: { http: { max_request_body_size: 0 } } }).protocols;
    expect(bodyBytesMax(zero.http!)).toBe(64 * MIB);
    const set = otlpReceiverConfig.parse({
      protocols: {
        grpc: { max_recv_msg_size_mib: 4, max_concurrent_streams: 7 },
        http: { max_request_body_size: 20_971_520 },
      },
    }).protocols;
    expect([messageBytesMax(set.grpc!), streamsMax(set.grpc!), bodyBytesMax(set.http!)]).toEqual([
      4 * MIB,
      7,
      20 * MIB,
    ]);
  });

  it("refuses what the Collector has and this version has not, by name, and does not call it unknown", () => {
    for (const key of ["auth", "middlewares"]) {
      expect(problemsOf({ protocols: { http: { [key]: {} } } })).toEqual([
        `protocols.http.${key}: is not supported yet`,
      ]);
    }
    expect(problemsOf({ protocols: { http: { nope: 1 } } })).toEqual(['protocols.http: Unrecognized key: "nope"']);
  });

  it("refuses a coding that it has not, by name", () => {
    expect(problemsOf({ protocols: { http: { compression_algorithms: ["", "gzip", "br"] } } })).toEqual([
      'protocols.http.compression_algorithms.2: expected one of "", "gzip", "deflate", "zlib", "zstd", "snappy", "x-snappy-framed", "lz4"',
    ]);
  });

  it("refuses a server's tls without a certificate or a key, and names of suites and curves that nobody has", () => {
    const tls = { cert_file: "a.pem", cipher_suites: ["RC4"], curve_preferences: ["P-256"] };
    expect(problemsOf({ protocols: { grpc: { tls } } }).map((problem) => problem.split(":")[0])).toEqual([
      "protocols.grpc.tls.cipher_suites.0",
      "protocols.grpc.tls.curve_preferences.0",
      "protocols.grpc.tls",
    ]);
    expect(problemsOf({ protocols: { grpc: { tls: { cert_file: "a.pem" } } } })).toEqual([
      "protocols.grpc.tls: a server's tls needs key_file or key_pem",
    ]);
  });

  it("refuses response headers that say where an answer ends", () => {
    expect(problemsOf({ protocols: { http: { response_headers: { "Content-Length": "1" } } } })).toEqual([
      "protocols.http.response_headers.Content-Length: is set by the server itself",
    ]);
  });

  it("takes the Collector's buffer sizes, which do nothing here, and timeouts", () => {
    const grpc = { read_buffer_size: 1024, write_buffer_size: 1024, transport: "tcp" };
    const http = { read_timeout: "1s", read_header_timeout: "1s", write_timeout: "1s" };
    expect(problemsOf({ protocols: { grpc, http } })).toEqual([]);
  });

  it("refuses sizes below zero and above what all requests together may have", () => {
    for (const size of [-1, 257, 1.5]) {
      expect(problemsOf({ protocols: { grpc: { max_recv_msg_size_mib: size } } })).toHaveLength(1);
    }
    expect(problemsOf({ protocols: { http: { max_request_body_size: "257MiB" } } })).toHaveLength(1);
  });

  it("puts a slash in front of a path that has none, and refuses a path for two signals", () => {
    const { http } = otlpReceiverConfig.parse({ protocols: { http: { logs_url_path: "in/logs" } } }).protocols;
    expect(http!.logs_url_path).toBe("/in/logs");
    expect(problemsOf({ protocols: { http: { logs_url_path: "v1/traces" } } })).toEqual([
      "protocols.http: two signals have the same path",
    ]);
    expect(problemsOf({ protocols: { http: { logs_url_path: "/in?x" } } })).toHaveLength(1);
  });
});
