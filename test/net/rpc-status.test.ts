import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SIGNALS } from "../../src/core/signal.ts";
import {
  decodePartialSuccess,
  decodeStatus,
  encodePartialSuccess,
  encodeStatus,
  partialSuccessFromJson,
  partialSuccessToJson,
  statusFromJson,
  statusToJson,
} from "../../src/net/rpc-status.ts";
import { fuzz } from "../support/fuzz.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const statusWithDetail = (detail: unknown): string => JSON.stringify({ code: 8, message: "m", details: [detail, 7] });

describe("Status", () => {
  it("writes code and message in the field order and numbers of google.rpc.Status", () => {
    expect(hex(encodeStatus({ code: 3, message: "bad" }))).toBe("08031203626164");
  });

  it("carries a delay as a RetryInfo in an Any", () => {
    const type = Buffer.from("type.googleapis.com/google.rpc.RetryInfo").toString("hex");
    // details { type_url, value: RetryInfo { retry_delay: Duration { seconds: 1, nanos: 500000000 } } }
    expect(hex(encodeStatus({ code: 14, message: "", retryDelayMs: 1500 }))).toBe(
      `080e12001a360a28${type}120a0a0808011080cab5ee01`,
    );
  });

  it("carries bad data as a BadRequest in an Any, with the message as what is wrong", () => {
    const status = { code: 3, message: "bad", isBadRequest: true };
    const type = "type.googleapis.com/google.rpc.BadRequest";
    // details { type_url, value: BadRequest { field_violations { description: "bad" } } }
    expect(hex(encodeStatus(status))).toBe(
      `080312036261641a340a29${Buffer.from(type).toString("hex")}12070a051203626164`,
    );
    expect(JSON.parse(statusToJson(status))).toEqual({
      code: 3,
      message: "bad",
      details: [{ "@type": type, fieldViolations: [{ description: "bad" }] }],
    });
  });

  it("reads back what it wrote, in protobuf and in JSON", () => {
    const statuses = fc.record(
      {
        code: fc.integer({ min: 0, max: 16 }),
        message: fc.string({ unit: "grapheme" }),
        retryDelayMs: fc.integer({ min: 0, max: 10_000_000 }),
      },
      { requiredKeys: ["code", "message"] },
    );
    fc.assert(
      fc.property(statuses, (status) => {
        expect(decodeStatus(encodeStatus(status))).toEqual(status);
        expect(statusFromJson(statusToJson(status))).toEqual(status);
      }),
      fuzz(),
    );
  });

  it("answers undefined to bytes and text that are no Status, and never throws", () => {
    expect(decodeStatus(Buffer.from("<html>Bad Gateway</html>"))).toBeUndefined();
    for (const text of ["<html>", "[]", "null", "3", `{"code":"x"}`, `{"code":1,"message":{}}`]) {
      expect({ text, status: statusFromJson(text) }).toEqual({ text, status: undefined });
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        decodeStatus(bytes);
        for (const signal of SIGNALS) decodePartialSuccess(signal, bytes);
      }),
      fuzz(),
    );
  });

  it("passes over details that are not a RetryInfo, and a delay it cannot read", () => {
    const badRequest = { "@type": "type.googleapis.com/google.rpc.BadRequest" };
    expect(statusFromJson(statusWithDetail(badRequest))).toEqual({
      code: 8,
      message: "m",
    });
    const retryInfo = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "soon" };
    expect(statusFromJson(statusWithDetail(retryInfo))).toEqual({ code: 8, message: "m" });
  });

  it("reads a JSON status without code or message as the proto3 defaults", () => {
    expect(statusFromJson("{}")).toEqual({ code: 0, message: "" });
  });
});

describe("partial success", () => {
  it("is empty for a full success, and unset in JSON", () => {
    for (const signal of SIGNALS) {
      expect(encodePartialSuccess(signal, { rejectedItems: 0, message: "" })).toHaveLength(0);
      expect(partialSuccessToJson(signal, { rejectedItems: 0, message: "" })).toBe("{}");
    }
  });

  it("writes the count as int64 in field 1 and the message in field 2", () => {
    expect(hex(encodePartialSuccess("logs", { rejectedItems: 300, message: "no" }))).toBe("0a0708ac0212026e6f");
  });

  it("names the count after the signal's items in JSON", () => {
    expect(partialSuccessToJson("traces", { rejectedItems: 2, message: "old" })).toBe(
      `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}`,
    );
    expect(partialSuccessToJson("metrics", { rejectedItems: 2, message: "" })).toContain("rejectedDataPoints");
    expect(partialSuccessToJson("logs", { rejectedItems: 2, message: "" })).toContain("rejectedLogRecords");
  });

  it("reads back what it wrote, in protobuf and in JSON", () => {
    const partials = fc.record({ rejectedItems: fc.maxSafeNat(), message: fc.string({ unit: "grapheme" }) });
    fc.assert(
      fc.property(fc.constantFrom(...SIGNALS), partials, (signal, partial) => {
        expect(decodePartialSuccess(signal, encodePartialSuccess(signal, partial))).toEqual(partial);
        expect(partialSuccessFromJson(signal, partialSuccessToJson(signal, partial))).toEqual(partial);
      }),
      fuzz(),
    );
  });

  it("reads the Collector's spelling of a full success, and a count written as a number", () => {
    expect(partialSuccessFromJson("logs", `{"partialSuccess":{}}`)).toEqual({ rejectedItems: 0, message: "" });
    expect(partialSuccessFromJson("logs", `{"partialSuccess":{"rejectedLogRecords":3}}`)).toEqual({
      rejectedItems: 3,
      message: "",
    });
  });

  it("answers undefined to a body that is no export response", () => {
    for (const text of ["", "OK", `{"partialSuccess":[]}`, `{"partialSuccess":{"rejectedLogRecords":"x"}}`]) {
      expect({ text, partial: partialSuccessFromJson("logs", text) }).toEqual({ text, partial: undefined });
    }
    expect(decodePartialSuccess("logs", Buffer.from("OK"))).toBeUndefined();
  });
});
