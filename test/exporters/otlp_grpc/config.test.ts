import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { otlpGrpcConfig } from "../../../src/exporters/otlp_grpc/config.ts";
import { parseGrpcEndpoint } from "../../../src/exporters/otlp_grpc/endpoint.ts";

describe("an endpoint", () => {
  test.each([
    ["localhost:4317", "dns:localhost:4317", "localhost:4317", undefined],
    [
      "ingress.eu-west-1.aws.dash0.com:4317",
      "dns:ingress.eu-west-1.aws.dash0.com:4317",
      "ingress.eu-west-1.aws.dash0.com:4317",
      undefined,
    ],
    [":4317", "dns:localhost:4317", "localhost:4317", undefined],
    ["[::1]:4317", "dns:[::1]:4317", "[::1]:4317", undefined],
    ["http://localhost:4317", "dns:localhost:4317", "localhost:4317", true],
    ["HTTPS://localhost:4317/", "dns:localhost:4317", "localhost:4317", false],
    ["dns:///backend:4317", "dns:///backend:4317", "backend:4317", undefined],
    ["dns://10.0.0.2:53/backend:4317", "dns://10.0.0.2:53/backend:4317", "backend:4317", undefined],
    ["unix:///run/otlp.sock", "unix:///run/otlp.sock", "unix:///run/otlp.sock", undefined],
  ])("%s is understood", (text, target, name, isPlaintext) => {
    expect(parseGrpcEndpoint(text)).toEqual({ target, name, isPlaintext });
  });

  test.each([
    ["localhost", "the port is missing"],
    ["https://localhost", "the port is missing"],
    ["localhost:99999", "the port must be 0 to 65535"],
    ["localhost:0", "the port must be 1 to 65535"],
    ["ftp://localhost:4317", "the scheme must be left out"],
    ["http://localhost:4317/v1/logs", "a gRPC address has no path"],
    ["http://user:secret@localhost:4317", "credentials do not belong in an address: put them into headers"],
    ["::1:4317", "an IPv6 address must stand in brackets"],
  ])("%s is refused", (text, problem) => {
    expect(parseGrpcEndpoint(text)).toEqual({ problem });
  });
});

type Input = z.input<typeof otlpGrpcConfig>;

function problemsOf(config: Partial<Input>): string[] {
  const result = otlpGrpcConfig.safeParse({ endpoint: "localhost:4317", ...config });
  return (result.error?.issues ?? []).map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

describe("the configuration", () => {
  test("has the Collector's defaults", () => {
    expect(otlpGrpcConfig.parse({ endpoint: "localhost:4317" })).toMatchObject({
      compression: "gzip",
      balancer_name: "round_robin",
      timeout: 5000,
      wait_for_ready: false,
      tls: { insecure: false, insecure_skip_verify: false },
      sending_queue: { enabled: true, num_consumers: 10, queue_size: 1000 },
      retry_on_failure: { enabled: true, initial_interval: 5000 },
    });
  });

  test("takes keepalive alone with its defaults", () => {
    const keepalive = { time: 10_000, timeout: 10_000, permit_without_stream: false };
    expect(otlpGrpcConfig.parse({ endpoint: "localhost:4317", keepalive: null }).keepalive).toEqual(keepalive);
  });

  test.each<[Partial<Input>, string]>([
    [{ endpoint: "" }, 'endpoint: requires a non-empty "endpoint"'],
    [{ headers: { "two words": "x" } }, "headers.two words: is no header name"],
    [{ headers: { "User-Agent": "x" } }, "headers.User-Agent: is set by the exporter itself"],
    [{ headers: { "trace-bin": "x" } }, "headers.trace-bin: is set by the exporter itself"],
    [{ headers: { a: "caf\u00e9" } }, "headers.a: its value holds a character that no header can carry"],
    [{ tls: { ca_file: "a", ca_pem: "b" } }, "tls.ca_pem: provide either ca_file or ca_pem, but not both"],
    [{ tls: { cert_file: "a" } }, "tls.cert_file: for auth via TLS, provide both certificate and key, or neither"],
    [{ tls: { key_pem: "a" } }, "tls.key_pem: for auth via TLS, provide both certificate and key, or neither"],
    [{ tls: { min_version: "1.3", max_version: "1.2" } }, "tls.max_version: must not be below min_version"],
    [{ tls: { cipher_suites: ["a"] } }, "tls.cipher_suites.0: expected a cipher suite"],
    [{ tls: { curve_preferences: ["P-256"] } }, "tls.curve_preferences.0: expected a curve"],
    [{ auth: { authenticator: "x" } }, "auth: names an authenticator extension, and none exists yet"],
  ])("refuses %j", (config, problem) => {
    expect(problemsOf(config)).toEqual([problem]);
  });

  test("forgives the line break that a file leaves behind a token", () => {
    expect(problemsOf({ headers: { Authorization: "Bearer abc\r\n" } })).toEqual([]);
  });

  test("never shows a header's value", () => {
    const result = otlpGrpcConfig.safeParse({ endpoint: "localhost:4317", headers: { Authorization: "s3cret\u0000" } });
    expect(JSON.stringify(result.error)).not.toContain("s3cret");
    const parsed = otlpGrpcConfig.parse({ endpoint: "localhost:4317", headers: { Authorization: "s3cret" } });
    expect(JSON.stringify(parsed)).not.toContain("s3cret");
  });
});
