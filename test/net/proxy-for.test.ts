import { describe, expect, it } from "vitest";
import { readProxyEnvironment } from "../../src/core/proxy-environment.ts";
import { proxyFor } from "../../src/net/proxy-for.ts";

const of = (url: string, env: Record<string, string>): string | undefined =>
  proxyFor(new URL(url), readProxyEnvironment(env))?.href;

const BOTH = { HTTP_PROXY: "http://plain:3128", HTTPS_PROXY: "http://user:secret@tls:3128" };

describe("the proxy that the environment wants", () => {
  it("is that of the address's scheme, in capitals first, with http:// where it has none", () => {
    expect(of("http://a.example/", BOTH)).toBe("http://plain:3128/");
    expect(of("https://a.example/", BOTH)).toBe("http://user:secret@tls:3128/");
    expect(of("https://a.example/", { https_proxy: "low:1", HTTPS_PROXY: "high:1" })).toBe("http://high:1/");
    expect(of("https://a.example/", { https_proxy: "low:1" })).toBe("http://low:1/");
    expect(of("https://a.example/", { HTTP_PROXY: "http://plain:3128" })).toBeUndefined();
    expect(proxyFor(new URL("https://a.example/"), undefined)).toBeUndefined();
  });

  it("is none for the loopback, and none from a CGI's header", () => {
    for (const host of ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
      expect(of(`http://${host}:4318/`, BOTH)).toBeUndefined();
    expect(of("http://a.example/", { ...BOTH, REQUEST_METHOD: "GET" })).toBeUndefined();
  });

  it.each([
    ["example.com", "https://example.com/", true],
    ["example.com", "https://a.example.com/", true],
    ["EXAMPLE.com", "https://a.Example.com/", true],
    ["example.com", "https://notexample.com/", false],
    [".example.com", "https://example.com/", false],
    [".example.com", "https://a.example.com/", true],
    ["*.example.com", "https://a.example.com/", true],
    ["other.org, example.com", "https://example.com/", true],
    ["example.com:4318", "https://example.com:4318/", true],
    ["example.com:4318", "https://example.com/", false],
    ["example.com:443", "https://example.com/", true],
    ["10.1.2.3", "http://10.1.2.3/", true],
    ["10.1.2.3", "http://10.1.2.4/", false],
    ["10.0.0.0/8", "http://10.1.2.3/", true],
    ["10.0.0.0/8", "http://11.1.2.3/", false],
    ["10.0.0.0/99", "http://10.1.2.3/", false],
    ["fd00::/8", "http://[fd00::1]/", true],
    ["[fd00::1]:80", "http://[fd00::1]/", true],
    ["*", "https://anything.example/", true],
    ["", "https://anything.example/", false],
  ])("is, with NO_PROXY %j, none for %s: %s", (NO_PROXY, url, isExempt) => {
    expect(of(url, { ...BOTH, NO_PROXY }) === undefined).toBe(isExempt);
  });

  it("that cannot be used is said without what was written", () => {
    expect(() => of("https://a.example/", { HTTPS_PROXY: "socks5://user:secret@host:1" })).toThrow(
      /^HTTPS_PROXY of the environment is no http or https address\n {2}write it as http:\/\/host:port$/,
    );
  });
});
