import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { formatByteSize, parseByteSize } from "../../src/config/byte-size.ts";
import { formatDuration, parseDurationMs } from "../../src/config/duration.ts";
import { formatEndpoint, parseEndpoint } from "../../src/config/endpoint.ts";
import { Secret } from "../../src/config/secret.ts";
import {
  block,
  byteSize,
  defaultBlock,
  duration,
  endpoint,
  optionalBlock,
  secret,
  secretMap,
  url,
} from "../../src/config/types.ts";
import { fuzz } from "../support/fuzz.ts";

function isRefused(schema: z.ZodType, value: unknown): boolean {
  return !schema.safeParse(value).success;
}

describe("duration", () => {
  it.each([
    ["0", 0],
    ["0s", 0],
    ["10s", 10_000],
    ["1m30s", 90_000],
    ["+1m30s", 90_000],
    ["+0", 0],
    ["200ms", 200],
    ["1.5h", 5_400_000],
    [".5s", 500],
    ["1.s", 1_000],
    ["100us", 0.1],
    ["100\u00b5s", 0.1],
    ["100\u03bcs", 0.1],
    ["1ns", 0.000001],
    ["1h1h", 7_200_000],
    ["3.567s", 3_567],
  ])("reads %s as %d ms", (text, ms) => {
    expect(duration().parse(text)).toBe(ms);
  });

  it.each([
    "",
    "10",
    "1",
    "s",
    "10 s",
    " 10s",
    "10s ",
    "-1s",
    "1d",
    "10sec",
    "1e3s",
    "1,5s",
    "1s2",
    ".s",
    "293y",
    "2562048h",
    "9".repeat(80),
  ])("refuses %j", (text) => {
    expect(isRefused(duration(), text)).toBe(true);
  });

  it("refuses zero and more than its bound where it is told to", () => {
    expect(isRefused(duration({ positive: true }), "0s")).toBe(true);
    expect(duration({ positive: true }).parse("1ns")).toBe(1e-6);
    expect(duration({ max: "1h" }).parse("60m")).toBe(3_600_000);
    expect(isRefused(duration({ max: "1h" }), "60m1ns")).toBe(true);
  });

  it("throws at once when its own default is no duration", () => {
    expect(() => duration({ default: "ten" })).toThrow(/duration/);
  });

  it("gives its default where the key is absent", () => {
    expect(block({ timeout: duration({ default: "5s" }) }).parse({})).toEqual({ timeout: 5_000 });
  });

  it("reads back what it prints", () => {
    const ms = fc.oneof(
      fc.nat(),
      fc.integer({ min: 0, max: 2 ** 40 }),
      fc.nat(1e9).map((ns) => ns / 1e6),
    );
    fc.assert(
      fc.property(ms, (value) => {
        expect(parseDurationMs(formatDuration(value))).toBe(value);
      }),
      fuzz(),
    );
  });

  it("equals the sum of its terms", () => {
    const term = fc.tuple(
      fc.nat(10_000),
      fc.constantFrom<[string, number]>(["ms", 1], ["s", 1_000], ["m", 60_000], ["h", 3_600_000]),
    );
    fc.assert(
      fc.property(fc.array(term, { minLength: 1, maxLength: 5 }), (terms) => {
        const text = terms.map(([count, [unit]]) => `${count}${unit}`).join("");
        expect(parseDurationMs(text)).toBe(terms.reduce((sum, [count, [, ms]]) => sum + count * ms, 0));
      }),
      fuzz(),
    );
  });
});

describe("byteSize", () => {
  it.each<[string | number, number]>([
    ["64MiB", 64 * 2 ** 20],
    ["1GB", 1e9],
    ["512KiB", 512 * 1024],
    ["1.5GiB", 1.5 * 2 ** 30],
    ["10 MB", 1e7],
    ["10B", 10],
    ["1048576", 1_048_576],
    [1_048_576, 1_048_576],
    [0, 0],
  ])("reads %j as %d bytes", (written, bytes) => {
    expect(byteSize().parse(written)).toBe(bytes);
  });

  it.each([
    -1,
    1.5,
    Number.NaN,
    1e21,
    "",
    "MiB",
    "1.5B",
    "-1MiB",
    "64mib",
    "64Mb",
    "1e3",
    "9007199254740993",
    "1TiBs",
    null,
    true,
  ])("refuses %j", (written) => {
    expect(isRefused(byteSize(), written)).toBe(true);
  });

  it("keeps to its bounds", () => {
    const bounded = byteSize({ min: "1KiB", max: "1MiB" });
    expect(bounded.parse("1KiB")).toBe(1024);
    expect(bounded.parse("1MiB")).toBe(2 ** 20);
    expect(isRefused(bounded, 1023)).toBe(true);
    expect(isRefused(bounded, 2 ** 20 + 1)).toBe(true);
  });

  it("reads back what it prints", () => {
    const bytes = fc.oneof(
      fc.maxSafeNat(),
      fc.nat(4096).map((count) => count * 2 ** 20),
    );
    fc.assert(
      fc.property(bytes, (value) => {
        expect(parseByteSize(formatByteSize(value))).toBe(value);
      }),
      fuzz(),
    );
  });
});

describe("endpoint", () => {
  it.each([
    ["localhost:4317", { host: "localhost", port: 4317 }],
    [":4317", { host: "", port: 4317 }],
    ["[::1]:4317", { host: "::1", port: 4317 }],
    ["0.0.0.0:0", { host: "0.0.0.0", port: 0 }],
    ["my_service.internal:65535", { host: "my_service.internal", port: 65_535 }],
  ])("reads %s", (text, expected) => {
    const parsed = parseEndpoint(text);
    expect(parsed).toEqual(expected);
    expect("port" in parsed && formatEndpoint(parsed)).toBe(text);
  });

  it.each([
    "",
    "localhost",
    "localhost:",
    "localhost:65536",
    "localhost:-1",
    "localhost:http",
    "::1:4317",
    "[::1]",
    "[x]:1",
    "http://a:1",
    "a b:1",
    "-a:1",
    "a/b:1",
  ])("refuses %j", (text) => {
    expect(isRefused(endpoint(), text)).toBe(true);
  });

  it("wants a host and a port of its own where we connect to it", () => {
    expect(isRefused(endpoint({ dial: true }), ":4317")).toBe(true);
    expect(isRefused(endpoint({ dial: true }), "backend:0")).toBe(true);
    expect(endpoint({ dial: true }).parse("backend:4317")).toBe("backend:4317");
  });
});

describe("url", () => {
  it("gives an absolute URL without the slash at its end", () => {
    expect(url().parse("https://api.example.com/otlp/")).toBe("https://api.example.com/otlp");
  });

  it.each(["", "api.example.com", "localhost:4318", "/v1/logs", "ftp://a", "http://", "http://a:99999"])(
    "refuses %j",
    (text) => {
      expect(isRefused(url(), text)).toBe(true);
    },
  );

  it("takes the schemes it is told", () => {
    expect(url({ schemes: ["unix"] }).safeParse("http://a").success).toBe(false);
  });
});

describe("secret", () => {
  const token = new Secret("hush-hush");

  it("gives its text to reveal() alone", () => {
    expect(secret().parse("hush-hush").reveal()).toBe("hush-hush");
    expect(secretMap().parse({ Authorization: "hush-hush" })["Authorization"]?.reveal()).toBe("hush-hush");
    expect(secretMap().parse(undefined)).toEqual({});
  });

  it.each<[string, string]>([
    ["a template", `token ${String(token)}`],
    ["JSON", JSON.stringify({ token })],
    ["util.inspect", inspect({ nested: { token } }, { depth: 9, showHidden: true })],
    ["an error's cause", inspect(new Error("x", { cause: token }))],
    ["its own keys", Object.entries(token).join()],
  ])("is not in what %s prints", (_, printed) => {
    expect(printed).not.toContain("hush");
  });
});

describe("blocks", () => {
  const grpc = block({ endpoint: endpoint({ default: "localhost:4317" }) });
  const schema = block({ grpc: optionalBlock(grpc), tls: defaultBlock({ insecure: z.boolean().default(false) }) });

  it("is off where an optional block is absent, and on with its defaults where it stands alone", () => {
    expect(schema.parse({})).toEqual({ tls: { insecure: false } });
    expect(schema.parse({ grpc: null })).toEqual({ grpc: { endpoint: "localhost:4317" }, tls: { insecure: false } });
  });

  it("refuses an unknown key at every depth", () => {
    expect(isRefused(schema, { other: 1 })).toBe(true);
    expect(isRefused(schema, { grpc: { other: 1 } })).toBe(true);
    expect(isRefused(schema, { tls: { other: 1 } })).toBe(true);
  });
});

describe("JSON Schema", () => {
  it("comes out of every type, with the defaults as one writes them", () => {
    const schema = block({
      timeout: duration({ default: "5s" }).describe("Time for one attempt."),
      max_size: byteSize({ default: "4MiB" }),
      endpoint: endpoint(),
      proxy_url: url().optional(),
      token: secret(),
      headers: secretMap(),
      grpc: optionalBlock(block({})),
    });
    const json = z.toJSONSchema(schema, { io: "input" });
    expect(json).toMatchObject({
      additionalProperties: false,
      required: ["endpoint", "token"],
      properties: {
        timeout: { default: "5s", description: "Time for one attempt." },
        max_size: { default: "4MiB" },
        endpoint: { type: "string" },
        headers: { anyOf: [{ type: "object", additionalProperties: { type: "string" } }, { type: "array" }] },
      },
    });
  });
});
