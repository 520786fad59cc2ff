import { describe, expect, it } from "vitest";
import { Cors } from "../../src/net/cors.ts";
import { corsSchema } from "../../src/net/server-config.ts";

const cors = (config: object): Cors => new Cors(corsSchema.parse(config));
const asks = (origin: string, method = "POST", headers?: string): Record<string, string> => ({
  origin,
  "access-control-request-method": method,
  ...(headers !== undefined && { "access-control-request-headers": headers }),
});

describe("a preflight", () => {
  it("of an allowed page is granted what it asks for, as in the Collector", () => {
    const door = cors({ allowed_origins: ["https://app.example.com"], allowed_headers: ["X-Token"], max_age: 600 });
    expect(door.preflightHeaders(asks("https://app.example.com", "POST", "x-token"))).toEqual({
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
      "access-control-allow-origin": "https://app.example.com",
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": "x-token",
      "access-control-allow-credentials": "true",
      "access-control-max-age": "600",
    });
  });

  it.for([
    ["another origin", asks("https://evil.example.com")],
    ["an origin that only ends like an allowed one", asks("https://app.example.com.evil.org")],
    ["another method", asks("https://app.example.com", "DELETE")],
    ["another header", asks("https://app.example.com", "POST", "content-type,x-other")],
    ["no origin", { "access-control-request-method": "POST" }],
  ] as const)("of %s is granted nothing", ([, headers]) => {
    const door = cors({ allowed_origins: ["https://app.example.com"] });
    expect(Object.keys(door.preflightHeaders(headers))).toEqual(["vary"]);
  });

  it("may ask for content-type whichever headers are named, since no page could send OTLP without", () => {
    const origin = "https://app.example.com";
    const named = cors({ allowed_origins: [origin], allowed_headers: ["X-Foo"] });
    const granted = (wanted: string): string | undefined =>
      named.preflightHeaders(asks(origin, "POST", wanted))["access-control-allow-headers"];
    expect(["content-type", "content-type,x-foo", "x-foo", "x-bar", "content-type,x-bar"].map(granted)).toEqual([
      "content-type",
      "content-type,x-foo",
      "x-foo",
      undefined,
      undefined,
    ]);
  });

  it("may ask for content-type where no headers are named, and for any where * is", () => {
    const origin = "https://app.example.com";
    const usual = cors({ allowed_origins: [origin] }).preflightHeaders(asks(origin, "POST", "content-type"));
    expect(usual["access-control-allow-headers"]).toBe("content-type");
    const any = cors({ allowed_origins: [origin], allowed_headers: ["*"] });
    expect(any.preflightHeaders(asks(origin, "POST", "a,b"))["access-control-allow-headers"]).toBe("a,b");
  });

  it("is told 0 where max_age is -1, and nothing where it is 0", () => {
    const ages = [-1, 0].map(
      (max_age) => cors({ allowed_origins: ["*"], max_age }).preflightHeaders(asks("x"))["access-control-max-age"],
    );
    expect(ages).toEqual(["0", undefined]);
  });
});

describe("an origin", () => {
  const granted = (allowed: string[], origin: string): string | undefined =>
    cors({ allowed_origins: allowed }).answerHeaders("POST", { origin })["access-control-allow-origin"];

  it("fits a wildcard wherever it stands, and in any case", () => {
    const allowed = ["https://*.example.com", "http://localhost:*"];
    expect(granted(allowed, "https://a.b.Example.com")).toBe("https://a.b.Example.com");
    expect(granted(allowed, "http://localhost:3000")).toBe("http://localhost:3000");
    expect(granted(allowed, "https://example.com")).toBeUndefined();
    expect(granted(allowed, "https://.example.co")).toBeUndefined();
  });

  it("is answered with * where all are allowed", () => expect(granted(["*"], "https://anyone")).toBe("*"));

  it("sees the headers that are exposed", () => {
    const headers = cors({ allowed_origins: ["*"], exposed_headers: ["retry-after", "x-job-id"] }).answerHeaders(
      "POST",
      {
        origin: "https://a",
      },
    );
    expect(headers["access-control-expose-headers"]).toBe("Retry-After, X-Job-Id");
  });
});
