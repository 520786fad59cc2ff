import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ClientMetadata } from "../../../src/core/client-metadata.ts";
import { afterActions, keyValues, logAttributes, logRequest } from "../../rules/otlp.ts";
import { openProcessor } from "../../rules/run-processor.ts";

describe("insert, update and upsert", () => {
  test("write where the key is absent, where it is there, and always", async () => {
    const actions = (action: string): string =>
      `[{ key: a, value: new, action: ${action} }, { key: b, value: new, action: ${action} }]`;
    expect(await afterActions(actions("insert"), { a: "old" })).toEqual(keyValues({ a: "old", b: "new" }));
    expect(await afterActions(actions("update"), { a: "old" })).toEqual(keyValues({ a: "new" }));
    expect(await afterActions(actions("upsert"), { a: "old" })).toEqual(keyValues({ a: "new", b: "new" }));
  });

  test("keep the type that the value has in YAML", async () => {
    const values = "1, 1.0, 9007199254740993, true, '1', [1, 2.0, { x: ~ }]";
    const actions = values
      .split(/, (?![^[]*\])/)
      .map((value, index) => `{ key: k${index}, value: ${value}, action: insert }`);
    const after = { k0: 1n, k1: 1, k2: 9007199254740993n, k3: true, k4: "1", k5: [1n, 2, { x: null }] };
    expect(await afterActions(`[${actions.join(", ")}]`, {})).toEqual(keyValues(after));
  });

  test("copy a value as it is", async () => {
    const value = [1n, 1, { x: Uint8Array.of(7) }];
    const [, copy] = await afterActions("[{ key: b, from_attribute: a, action: insert }]", { a: value });
    const [original] = await afterActions("[{ key: z, action: delete }]", { a: value });
    expect(copy).toEqual({ ...original, key: "b" });
  });

  test("fall back to the default where the source has nothing, and do nothing without one", async () => {
    expect(await afterActions("[{ key: b, from_attribute: a, default_value: 7, action: upsert }]", {})).toEqual(
      keyValues({ b: 7n }),
    );
    expect(await afterActions("[{ key: b, from_attribute: a, action: upsert }]", { b: "old" })).toEqual(
      keyValues({ b: "old" }),
    );
    expect(await afterActions("[{ key: b, default_value: 7, action: insert }]", {})).toEqual(keyValues({ b: 7n }));
  });

  test("take headers of a receiver that includes them, joined, and the peer's address from any", async () => {
    const headers = new Map([["x-tenant", ["one", "two"]]]);
    const actions =
      "[{ key: t, from_context: metadata.X-Tenant, action: insert }, { key: u, from_context: x-tenant, default_value: none, action: insert }, { key: a, from_context: client.address, action: insert }, { key: s, from_context: auth.sub, default_value: none, action: insert }]";
    const included = new ClientMetadata("grpc", "10.0.0.1", headers, true);
    expect(await afterActions(actions, {}, included)).toEqual(
      keyValues({ t: "one;two", u: "one;two", a: "10.0.0.1", s: "none" }),
    );
    const withheld = new ClientMetadata("grpc", "10.0.0.1", headers, false);
    expect(await afterActions(actions, {}, withheld)).toEqual(keyValues({ u: "none", a: "10.0.0.1", s: "none" }));
  });

  test("see each sender's own header, batch after batch", async () => {
    const run = await openProcessor(
      "logs",
      "attributes",
      "{ actions: [{ key: t, from_context: x-t, action: upsert }] }",
    );
    for (const tenant of ["one", "two"]) {
      const client = new ClientMetadata("http", "", new Map([["x-t", [tenant]]]), true);
      expect(logAttributes(await run(logRequest({}), client))).toEqual([keyValues({ t: tenant })]);
    }
  });
});

describe("delete and hash", () => {
  test("take the key and every key that the pattern matches", async () => {
    const before = { a: "1", "secret.x": "2", "my.secret.y": "3", other: "4" };
    expect(await afterActions('[{ key: a, pattern: "^secret\\\\.", action: delete }]', before)).toEqual(
      keyValues({
        "my.secret.y": "3",
        other: "4",
      }),
    );
    expect(await afterActions("[{ pattern: secret, action: delete }]", before)).toEqual(
      keyValues({ a: "1", other: "4" }),
    );
    expect(await afterActions("[{ key: a, action: delete }]", { a: "1" })).toEqual(keyValues({}));
  });

  const sha = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
  const eight = (write: (view: DataView) => void): Uint8Array => {
    const view = new DataView(new ArrayBuffer(8));
    write(view);
    return new Uint8Array(view.buffer);
  };

  test.for([
    ["a string", "näme", sha("näme")],
    ["true", true, sha(Uint8Array.of(1))],
    ["false", false, sha(Uint8Array.of(0))],
    ["an int", 42n, sha(eight((view) => view.setBigInt64(0, 42n, true)))],
    ["a large int", -(2n ** 63n), sha(eight((view) => view.setBigInt64(0, -(2n ** 63n), true)))],
    ["a double", 42, sha(eight((view) => view.setFloat64(0, 42, true)))],
    ["bytes", Uint8Array.of(1), ""],
    ["a list", ["x"], ""],
    ["a map", { x: 1n }, ""],
    ["an empty value", null, ""],
  ] as const)("hash %s", async ([, value, hash]) => {
    expect(await afterActions("[{ key: a, action: hash }]", { a: value })).toEqual(keyValues({ a: hash }));
  });

  test("hash twice what is both the key and matched, as the Collector does", async () => {
    expect(await afterActions("[{ key: a, pattern: a, action: hash }]", { a: "x" })).toEqual(
      keyValues({ a: sha(sha("x")) }),
    );
  });

  test("touch each of many keys once, in time that grows with their number", async () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key.${index}`, "x"]));
    const startMs = performance.now();
    const after = await afterActions("[{ pattern: '^key', action: hash }]", many);
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(after).toEqual(keyValues(Object.fromEntries(Object.keys(many).map((key) => [key, sha("x")]))));
  });
});

describe("extract", () => {
  const actions = '[{ key: url, pattern: "^(?P<scheme>[a-z]+)://(?P<host>[^/]+)(?P<path>/.*)?", action: extract }]';

  test("writes each group under its name, over what stands there, and an empty text where it took no part", async () => {
    const before = { url: "http://example.com", host: 7n, path: "/old" };
    expect(await afterActions(actions, before)).toEqual(
      keyValues({ url: "http://example.com", host: "example.com", path: "", scheme: "http" }),
    );
  });

  test("leaves all as it is without a match, without the key, and where it is no string", async () => {
    for (const before of [{ url: "nothing", host: "x" }, { host: "x" }, { url: 7n }]) {
      expect(await afterActions(actions, before)).toEqual(keyValues(before));
    }
  });

  test("may overwrite its own source", async () => {
    expect(await afterActions('[{ key: a, pattern: "(?P<a>[0-9]+)", action: extract }]', { a: "job 42" })).toEqual(
      keyValues({ a: "42" }),
    );
  });
});

describe("convert", () => {
  test.for([
    ["int", "42", 42n],
    ["int", "+007", 7n],
    ["int", "1.5", "1.5"],
    ["int", "", ""],
    ["int", "9223372036854775808", "9223372036854775808"],
    ["int", 1.9, 1n],
    ["int", 1e300, -(2n ** 63n)],
    ["int", true, 1n],
    ["int", ["1"], ["1"]],
    ["int", null, null],
    ["double", "1.5", 1.5],
    ["double", "0x1p-1", 0.5],
    ["double", "abc", "abc"],
    ["double", "1e999", "1e999"],
    ["double", 42n, 42],
    ["double", 2n ** 63n - 1n, 2 ** 63],
    ["double", false, 0],
    ["string", 1n, "1"],
    ["string", 1, "1"],
    ["string", 1e21, "1e+21"],
    ["string", true, "true"],
    ["string", null, ""],
    ["string", [1n, "x", { b: null, a: true }], '[1,"x",{"a":true,"b":null}]'],
  ] as const)("to %s: %s", async ([type, value, result]) => {
    expect(await afterActions(`[{ key: a, converted_type: ${type}, action: convert }]`, { a: value })).toEqual(
      keyValues({ a: result }),
    );
  });
});

describe("actions", () => {
  test("run in their order, and each sees what those before it have done", async () => {
    const actions =
      "[{ key: a, value: x1, action: insert }, { key: b, from_attribute: a, action: insert }, { key: a, action: delete }, { key: b, pattern: '(?P<digit>[0-9])', action: extract }, { key: digit, converted_type: int, action: convert }, { key: a, from_attribute: digit, action: insert }]";
    expect(await afterActions(actions, {})).toEqual(keyValues({ a: 1n, b: "x1", digit: 1n }));
  });

  test.for([
    "{ key: absent, value: x, action: update }",
    "{ key: a, value: x, action: insert }",
    "{ key: absent, action: delete }",
    "{ pattern: '^nothing', action: delete }",
    "{ pattern: '^nothing', action: hash }",
    "{ key: a, converted_type: string, action: convert }",
    "{ key: a, converted_type: int, action: convert }",
    "{ key: a, pattern: '(?P<x>[0-9])', action: extract }",
    "{ key: b, from_attribute: absent, action: upsert }",
    "{ key: a, from_attribute: a, action: upsert }",
    "{ key: b, from_context: metadata.absent, action: upsert }",
  ])("that change nothing hand on the very bytes: %s", async (action) => {
    const run = await openProcessor("logs", "attributes", `{ actions: [${action}] }`);
    // An unknown field and a length that is longer than it need be: a rewrite would not keep them.
    const bytes = Uint8Array.of(...logRequest({ a: "x" }), 0x98, 0x06, 0x81, 0x80, 0x00);
    expect(await run(bytes)).toEqual(bytes);
  });

  test("do what they can on a record without attributes", async () => {
    expect(
      await afterActions(
        "[{ key: a, action: hash }, { key: a, action: delete }, { key: b, value: x, action: upsert }]",
        {},
      ),
    ).toEqual(keyValues({ b: "x" }));
  });
});
