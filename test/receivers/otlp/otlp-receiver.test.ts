import { readFileSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { ConsumeError } from "../../../src/core/errors.ts";
import type { ConsumeErrorKind } from "../../../src/core/errors.ts";
import { SIGNALS } from "../../../src/core/signal.ts";
import { decodeStatus, statusFromJson } from "../../../src/net/rpc-status.ts";
import { settle } from "../../support/test-clock.ts";
import { callGrpc, exportWithNodeSdk, postHttp } from "./otlp-clients.ts";
import type { HttpResult, Protocol } from "./otlp-clients.ts";
import { TestGateway } from "./test-gateway.ts";

const PROTOBUF = "application/x-protobuf";
const JSON_TYPE = "application/json";
const HTTP_PATHS = { traces: "/v1/traces", metrics: "/v1/metrics", logs: "/v1/logs" } as const;

const collectorBytes = (name: string): Buffer =>
  readFileSync(new URL(`../../testdata/collector-otlp/${name}`, import.meta.url));

const LOGS = collectorBytes("logs.binpb");
const LOG_JSON = JSON.stringify({
  resourceLogs: [{ scopeLogs: [{ logRecords: [{ timeUnixNano: "1", body: { stringValue: "hi" } }] }] }],
});

describe("stock exporters of the Node SDK", () => {
  const cases = (["grpc", "http/protobuf", "http/json"] as const satisfies Protocol[]).flatMap((protocol) =>
    (["none", "gzip"] as const).map((compression) => ({ protocol, compression })),
  );

  it.each(cases)("are taken over $protocol, compression $compression, all three signals", async (settings) => {
    await using gateway = await TestGateway.start();
    const ports = { grpcPort: gateway.portOf("OTLP/gRPC"), httpPort: gateway.portOf("OTLP/HTTP") };
    for (const signal of SIGNALS) await exportWithNodeSdk(signal, { ...settings, ...ports });
    expect(gateway.arrivals.map(({ signal, itemCount, outcome }) => [signal, itemCount, outcome])).toEqual([
      ["traces", 1, "committed"],
      ["metrics", 1, "committed"],
      ["logs", 1, "committed"],
    ]);
    for (const { bytes } of gateway.arrivals) expect(bytes.includes("sdk-test")).toBe(true);
    expect(gateway.budget.leasedBytes).toBe(0);
  });
});

describe("the answer", () => {
  it("is an empty message over gRPC, no bytes over HTTP/protobuf, and {} over HTTP/JSON", async () => {
    await using gateway = await TestGateway.start();
    expect((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS)).response).toHaveLength(0);
    const httpPort = gateway.portOf("OTLP/HTTP");
    const protobuf = await postHttp(httpPort, "/v1/logs", PROTOBUF, LOGS);
    expect([protobuf.status, protobuf.headers.get("content-type"), protobuf.body.length]).toEqual([200, PROTOBUF, 0]);
    const json = await postHttp(httpPort, "/v1/logs", JSON_TYPE, LOG_JSON);
    expect([json.status, json.headers.get("content-type"), json.body.toString()]).toEqual([200, JSON_TYPE, "{}"]);
  });

  it("leaves only after the admission is committed", async () => {
    await using gateway = await TestGateway.start();
    const { promise: stored, resolve: store } = Promise.withResolvers<void>();
    const { promise: waiting, resolve: isWaiting } = Promise.withResolvers<void>();
    gateway.onCommit = () => {
      isWaiting();
      return stored;
    };
    let isAnswered = false;
    const answer = postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, LOGS).then((result) => {
      isAnswered = true;
      return result;
    });
    await waiting;
    await settle();
    expect([isAnswered, gateway.budget.leasedBytes]).toEqual([false, LOGS.length]);
    store();
    expect([(await answer).status, gateway.budget.leasedBytes]).toEqual([200, 0]);
  });

  it("is a success for a request without items, which no pipeline sees", async () => {
    await using gateway = await TestGateway.start();
    for (const signal of SIGNALS) {
      expect((await callGrpc(gateway.portOf("OTLP/gRPC"), signal, Buffer.alloc(0))).code).toBe(0);
      const path = HTTP_PATHS[signal];
      const httpPort = gateway.portOf("OTLP/HTTP");
      expect((await postHttp(httpPort, path, PROTOBUF, "")).status).toBe(200);
      expect((await postHttp(httpPort, path, JSON_TYPE, "{}")).body.toString()).toBe("{}");
    }
    const resourceOnly = JSON.stringify({ resourceLogs: [{ resource: {}, scopeLogs: [{ logRecords: [] }] }] });
    expect((await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", JSON_TYPE, resourceOnly)).status).toBe(200);
    expect(gateway.arrivals).toHaveLength(0);
  });

  it("passes on what a Collector wrote byte for byte", async () => {
    await using gateway = await TestGateway.start();
    for (const signal of SIGNALS) {
      const bytes = collectorBytes(`${signal}.binpb`);
      expect((await callGrpc(gateway.portOf("OTLP/gRPC"), signal, bytes)).code).toBe(0);
      const httpPort = gateway.portOf("OTLP/HTTP");
      expect((await postHttp(httpPort, HTTP_PATHS[signal], PROTOBUF, bytes)).status).toBe(200);
      const json = collectorBytes(`${signal}.json`);
      expect((await postHttp(httpPort, HTTP_PATHS[signal], JSON_TYPE, json)).status).toBe(200);
      const [overGrpc, overHttp, overJson] = gateway.arrivals.splice(0);
      expect([overGrpc!.bytes.equals(bytes), overHttp!.bytes.equals(bytes)]).toEqual([true, true]);
      expect(overJson!.itemCount).toBe(overGrpc!.itemCount);
    }
  });
});

describe("a pipeline's no", () => {
  const ANSWERS: readonly (readonly [ConsumeErrorKind, number, number, number | undefined])[] = [
    ["refused", 14, 503, 1000],
    ["retryable", 14, 503, 1000],
    ["permanent", 3, 400, undefined],
    ["too_large", 8, 413, undefined],
    ["unauthenticated", 16, 401, undefined],
    ["forbidden", 7, 403, undefined],
    ["unimplemented", 12, 404, undefined],
    ["internal", 13, 500, undefined],
  ];

  it.each(ANSWERS)("%s is code %i and HTTP %i", async (kind, code, httpStatus, retryDelayMs) => {
    await using gateway = await TestGateway.start();
    gateway.onConsume = async () => {
      throw new ConsumeError(kind, "because");
    };
    const expected = { code, message: "because", ...(retryDelayMs !== undefined && { retryDelayMs }) };
    const answer = await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS);
    expect([answer.code, answer.message]).toEqual([code, "because"]);
    expect(decodeStatus(answer.metadata.get("grpc-status-details-bin")[0] as Buffer)).toEqual(expected);
    const httpPort = gateway.portOf("OTLP/HTTP");
    const protobuf = await postHttp(httpPort, "/v1/logs", PROTOBUF, LOGS);
    expect([protobuf.status, protobuf.headers.get("content-type")]).toEqual([httpStatus, PROTOBUF]);
    expect(decodeStatus(protobuf.body)).toEqual(expected);
    const json = await postHttp(httpPort, "/v1/logs", JSON_TYPE, LOG_JSON);
    expect([json.status, json.headers.get("content-type")]).toEqual([httpStatus, JSON_TYPE]);
    expect(statusFromJson(json.body.toString())).toEqual(expected);
    const retryAfter = retryDelayMs === undefined ? null : "1";
    expect([protobuf.headers.get("retry-after"), json.headers.get("retry-after")]).toEqual([retryAfter, retryAfter]);
    expect(gateway.arrivals.map(({ outcome, reason }) => [outcome, reason?.kind])).toEqual([
      ["discarded", kind],
      ["discarded", kind],
      ["discarded", kind],
    ]);
    expect(gateway.budget.leasedBytes).toBe(0);
  });

  it("rounds Retry-After up to whole seconds, and says the exact delay in RetryInfo", async () => {
    await using gateway = await TestGateway.start();
    gateway.onCommit = async () => {
      throw new ConsumeError("refused", "full", { retryAfterMs: 2100 });
    };
    const answer = await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", JSON_TYPE, LOG_JSON);
    expect([answer.headers.get("retry-after"), statusFromJson(answer.body.toString())?.retryDelayMs]).toEqual([
      "3",
      2100,
    ]);
  });

  it("at the doors, for want of memory, comes before the body is read", async () => {
    await using gateway = await TestGateway.start();
    gateway.budget.pressure = "hard";
    expect((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS)).code).toBe(14);
    expect((await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, LOGS)).status).toBe(503);
    expect(gateway.arrivals).toHaveLength(0);
  });
});

function post(gateway: TestGateway, contentType: string, body: string | Uint8Array): Promise<HttpResult> {
  return postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", contentType, body);
}

/** A log record whose body is an array in an array in an array. */
function nestedBody(depth: number): string {
  const open = `{"arrayValue":{"values":[`.repeat(depth);
  return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${open}{"intValue":1}${"]}}".repeat(depth)}}]}]}]}`;
}

describe("bad requests", () => {
  it("that are garbage are answered 400 and INVALID_ARGUMENT with place and offset, and counted", async () => {
    await using gateway = await TestGateway.start();
    const truncated = LOGS.subarray(0, LOGS.length - 1);
    const overGrpc = await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", truncated);
    expect([overGrpc.code, overGrpc.message]).toEqual([3, expect.stringMatching(/^otlp logs: resource_logs.*offset/)]);
    const overHttp = await post(gateway, PROTOBUF, truncated);
    expect([overHttp.status, decodeStatus(overHttp.body)]).toEqual([400, { code: 3, message: overGrpc.message }]);
    const json = await post(gateway, JSON_TYPE, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"zz"}]}]}]}`);
    expect(json.status).toBe(400);
    expect(statusFromJson(json.body.toString())?.message).toContain(
      "resourceLogs[0].scopeLogs[0].logRecords[0].traceId",
    );
    const countOf = (transport: string): number | undefined =>
      gateway.registry.value("signalbox_receiver_undecodable_requests", {
        receiver: "otlp",
        transport,
        "otel.signal": "logs",
      });
    expect([countOf("grpc"), countOf("http")]).toEqual([1, 2]);
    expect([gateway.arrivals.length, gateway.budget.leasedBytes]).toEqual([0, 0]);
  });

  it("that are odd but no garbage are kept, and counted: text that is no UTF-8, a message that stands twice", async () => {
    await using gateway = await TestGateway.start();
    const field = (number: number, ...parts: Uint8Array[]): Buffer => {
      const content = Buffer.concat(parts);
      return Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
    };
    const request = (...bodies: Uint8Array[]): Buffer =>
      field(1, field(2, field(2, ...bodies.map((text) => field(5, field(1, text))))));
    const valid = Buffer.from("caf\u00e9");
    expect((await post(gateway, PROTOBUF, request(valid.subarray(0, -1)))).status).toBe(200);
    expect((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", request(valid, valid))).code).toBe(0);
    const lone = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a\\udc00b"}}]}]}]}`;
    expect((await post(gateway, JSON_TYPE, lone)).status).toBe(200);
    const countOf = (name: string, transport: string): number | undefined =>
      gateway.registry.value(`signalbox_receiver_${name}_requests`, {
        receiver: "otlp",
        transport,
        "otel.signal": "logs",
      });
    expect([countOf("invalid_text", "http"), countOf("invalid_text", "grpc")]).toEqual([2, 0]);
    expect([countOf("merged", "http"), countOf("merged", "grpc")]).toEqual([0, 1]);
    expect(gateway.arrivals).toHaveLength(3);
  });

  it("are logged once a minute and door, not once a request", async () => {
    await using gateway = await TestGateway.start();
    for (let round = 0; round < 5; round++) await post(gateway, PROTOBUF, "garbage");
    expect(gateway.warnings).toHaveLength(1);
  });

  it("that nest too deeply are answered 400", async () => {
    await using gateway = await TestGateway.start();
    expect((await post(gateway, JSON_TYPE, nestedBody(10))).status).toBe(200);
    expect((await post(gateway, JSON_TYPE, nestedBody(100))).status).toBe(400);
    expect((await post(gateway, JSON_TYPE, nestedBody(100_000))).status).toBe(400);
  });

  it("of another content type are answered 415 with a Status that names what is taken", async () => {
    await using gateway = await TestGateway.start();
    const answer = await post(gateway, "text/plain", "hello");
    expect([answer.status, answer.headers.get("content-type"), answer.body.toString()]).toEqual([
      415,
      JSON_TYPE,
      '{"code":3,"message":"415 unsupported media type, supported: [application/json, application/x-protobuf]"}',
    ]);
  });

  it("with an unknown method, path or coding are answered with a Status in the request's encoding", async () => {
    await using gateway = await TestGateway.start();
    const httpPort = gateway.portOf("OTLP/HTTP");
    const get = await fetch(`http://127.0.0.1:${httpPort}/v1/logs`);
    expect([get.status, get.headers.get("allow"), await get.text()]).toEqual([
      405,
      "POST",
      '{"code":12,"message":"405 method not allowed, supported: [POST]"}',
    ]);
    const unknown = await postHttp(httpPort, "/v1/logs/", JSON_TYPE, "{}");
    expect([unknown.status, unknown.body.toString()]).toEqual([404, '{"code":5,"message":"404 page not found"}']);
    const inProtobuf = await postHttp(httpPort, "/v1/nope", PROTOBUF, "");
    expect([inProtobuf.status, decodeStatus(inProtobuf.body)?.code]).toEqual([404, 5]);
    const brotli = await postHttp(httpPort, "/v1/logs", JSON_TYPE, "{}", { "content-encoding": "br" });
    expect([brotli.status, statusFromJson(brotli.body.toString())?.message]).toEqual([
      400,
      "unsupported Content-Encoding: br",
    ]);
  });

  it("over the limit are answered 413 and RESOURCE_EXHAUSTED, before and after decompression", async () => {
    const protocols = {
      grpc: { endpoint: "127.0.0.1:0", max_recv_msg_size_mib: 1 },
      http: { endpoint: "127.0.0.1:0", max_request_body_size: "1MiB" },
    };
    await using gateway = await TestGateway.start({ protocols });
    const big = Buffer.alloc(1024 * 1024 + 1);
    expect((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", big)).code).toBe(8);
    const plain = await post(gateway, PROTOBUF, big);
    expect([plain.status, decodeStatus(plain.body)?.code]).toEqual([413, 8]);
    const httpPort = gateway.portOf("OTLP/HTTP");
    const zipped = await postHttp(httpPort, "/v1/logs", PROTOBUF, gzipSync(big), { "content-encoding": "gzip" });
    expect([zipped.status, decodeStatus(zipped.body)?.retryDelayMs]).toEqual([413, undefined]);
  });
});

describe("names of enum values in JSON", () => {
  const NAMED = LOG_JSON.replace(`"body"`, `"severityNumber":"SEVERITY_NUMBER_INFO","body"`);

  it("are taken, counted, and said once", async () => {
    await using gateway = await TestGateway.start();
    const httpPort = gateway.portOf("OTLP/HTTP");
    for (let round = 0; round < 3; round++) {
      expect((await postHttp(httpPort, "/v1/logs", JSON_TYPE, NAMED)).status).toBe(200);
    }
    expect(gateway.registry.value("signalbox_receiver_json_enum_names", { receiver: "otlp" })).toBe(3);
    expect(gateway.warnings).toHaveLength(1);
  });

  it("are refused with strict_json", async () => {
    const protocols = { http: { endpoint: "127.0.0.1:0", strict_json: true } };
    await using gateway = await TestGateway.start({ protocols });
    expect((await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", JSON_TYPE, NAMED)).status).toBe(400);
  });
});

describe("what a batch carries", () => {
  it.each([false, true])("headers and address, forwardable as include_metadata says (%s)", async (include_metadata) => {
    const endpoint = { endpoint: "127.0.0.1:0", include_metadata };
    await using gateway = await TestGateway.start({ protocols: { grpc: endpoint, http: endpoint } });
    const metadata = new grpc.Metadata();
    metadata.set("X-Worker-Id", "worker-001");
    await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS, { metadata });
    await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, LOGS, { "X-Worker-Id": "worker-001" });
    const clients = gateway.arrivals.map(({ context: { client } }) => client);
    expect(clients.map(({ transport, address, isForwardable }) => [transport, address, isForwardable])).toEqual([
      ["grpc", "127.0.0.1", include_metadata],
      ["http", "127.0.0.1", include_metadata],
    ]);
    expect(clients.map((client) => client.first("x-worker-id"))).toEqual(["worker-001", "worker-001"]);
  });

  it("the client's deadline, or the door's own, and who opened the admission", async () => {
    await using gateway = await TestGateway.start();
    const startMs = Date.now();
    await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS, { timeoutMs: 60_000 });
    await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", PROTOBUF, LOGS);
    const [overGrpc, overHttp] = gateway.arrivals.map(({ settings }) => settings);
    expect(overGrpc!.deadline! - startMs).toBeGreaterThan(50_000);
    expect(overHttp!.deadline! - startMs).toBeLessThan(10_000);
    expect(overGrpc).toMatchObject({ opener: "receiver otlp", received: { signal: "logs" } });
    expect(Object.keys(overHttp!)).not.toContain("body");
  });

  it("an abort to the admission when the sender goes", async () => {
    await using gateway = await TestGateway.start();
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    const leave = new AbortController();
    gateway.onCommit = (arrival) =>
      new Promise((_resolve, reject) => {
        arrival.settings.signal!.addEventListener("abort", () => {
          resolve();
          reject(new ConsumeError("refused", "gone"));
        });
        leave.abort();
      });
    const request = fetch(`http://127.0.0.1:${gateway.portOf("OTLP/HTTP")}/v1/logs`, {
      method: "POST",
      headers: { "content-type": PROTOBUF },
      body: LOGS,
      signal: leave.signal,
    });
    await expect(request).rejects.toThrow("abort");
    await aborted;
    while (gateway.budget.leasedBytes > 0) await settle();
    expect(gateway.arrivals[0]!.outcome).toBe("discarded");
  });
});

describe("the receiver", () => {
  it("has a door only for the signals that a pipeline takes", async () => {
    await using gateway = await TestGateway.start({ signals: ["traces"] });
    expect((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS)).code).toBe(12);
    const httpPort = gateway.portOf("OTLP/HTTP");
    expect((await postHttp(httpPort, "/v1/logs", PROTOBUF, LOGS)).status).toBe(404);
    expect((await postHttp(httpPort, "/v1/traces", PROTOBUF, "")).status).toBe(200);
  });

  it("takes the paths that the configuration names", async () => {
    const protocols = { http: { endpoint: "127.0.0.1:0", logs_url_path: "custom/logs" } };
    await using gateway = await TestGateway.start({ protocols });
    const httpPort = gateway.portOf("OTLP/HTTP");
    expect((await postHttp(httpPort, "/custom/logs", PROTOBUF, LOGS)).status).toBe(200);
    expect((await postHttp(httpPort, "/v1/logs", PROTOBUF, LOGS)).status).toBe(404);
  });

  it("tells where it listens, one line for each protocol", async () => {
    await using gateway = await TestGateway.start();
    expect(gateway.listening.map(({ id, what, address }) => [id.type, what, address])).toEqual([
      ["otlp", "OTLP/gRPC", `127.0.0.1:${gateway.portOf("OTLP/gRPC")}`],
      ["otlp", "OTLP/HTTP", `http://127.0.0.1:${gateway.portOf("OTLP/HTTP")}`],
    ]);
  });

  it("leaves no port open when one of its protocols cannot listen", async () => {
    await using other = await TestGateway.start();
    const busy = `127.0.0.1:${other.portOf("OTLP/HTTP")}`;
    const protocols = { grpc: { endpoint: "127.0.0.1:0" }, http: { endpoint: busy } };
    await expect(TestGateway.start({ protocols })).rejects.toThrow(
      `receivers.otlp: ${busy} is in use by another process; stop it (a Collector?) or set protocols.http.endpoint to another port`,
    );
  });

  it("answers what is in flight before it shuts down, and may be shut down twice", async () => {
    await using gateway = await TestGateway.start();
    const { promise: stored, resolve: store } = Promise.withResolvers<void>();
    const { promise: waiting, resolve: isWaiting } = Promise.withResolvers<void>();
    gateway.onCommit = () => {
      isWaiting();
      return stored;
    };
    const answer = callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS);
    await waiting;
    const patience = new AbortController();
    const down = Promise.all([gateway.receiver.shutdown(patience.signal), gateway.receiver.shutdown(patience.signal)]);
    store();
    expect((await answer).code).toBe(0);
    await down;
    expect((await callGrpc(gateway.portOf("OTLP/gRPC"), "logs", LOGS)).code).toBe(14);
  });
});

describe("settings of the HTTP door", () => {
  const http = (settings: object): object => ({ http: { endpoint: "127.0.0.1:0", ...settings } });

  it("answer a browser's preflight and name its origin on the answer", async () => {
    const cors = { allowed_origins: ["https://*.example.com"], exposed_headers: ["Retry-After"] };
    await using gateway = await TestGateway.start({ protocols: http({ cors }) });
    const url = `http://127.0.0.1:${gateway.portOf("OTLP/HTTP")}/v1/logs`;
    const origin = "https://app.example.com";
    const headers = {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    };
    const preflight = await fetch(url, { method: "OPTIONS", headers });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, origin]);
    const answer = await postHttp(gateway.portOf("OTLP/HTTP"), "/v1/logs", JSON_TYPE, "{}", { origin });
    expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
    expect(answer.headers.get("access-control-expose-headers")).toBe("Retry-After");
    // Without the header it is no preflight: OPTIONS is a method like others.
    expect((await fetch(url, { method: "OPTIONS" })).status).toBe(405);
  });

  it("restrict the codings of bodies, and can forbid plain ones", async () => {
    await using gateway = await TestGateway.start({ protocols: http({ compression_algorithms: ["gzip"] }) });
    const port = gateway.portOf("OTLP/HTTP");
    const postWith = async (headers: Record<string, string>, body: Uint8Array): Promise<number> =>
      (await postHttp(port, "/v1/logs", JSON_TYPE, body, headers)).status;
    expect(await postWith({ "content-encoding": "x-gzip" }, gzipSync("{}"))).toBe(200);
    expect(await postWith({ "content-encoding": "zstd" }, zstdCompressSync("{}"))).toBe(400);
    expect(await postWith({}, Buffer.from("{}"))).toBe(400);
  });

  it("put response headers on every answer", async () => {
    const response_headers = { "X-Served-By": "gateway-1" };
    await using gateway = await TestGateway.start({ protocols: http({ response_headers }) });
    for (const path of ["/v1/logs", "/nope"]) {
      const answer = await postHttp(gateway.portOf("OTLP/HTTP"), path, JSON_TYPE, "{}");
      expect(answer.headers.get("x-served-by")).toBe("gateway-1");
    }
  });
});
