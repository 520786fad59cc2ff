import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { shareDefinitions } from "../../src/config/json-schema-shared.ts";

const TLS = {
  type: "object",
  description: "TLS towards the backend, with a text that is long enough to be worth a definition.",
  properties: { ca_file: { type: "string", description: "PEM file with the authorities." } },
  additionalProperties: false,
};
const component = (more: object): object => ({ type: "object", properties: { tls: TLS, ...more } });

function check(document: object, value: unknown): boolean {
  return new Ajv({ strict: true }).validate(document, value);
}

describe("shared definitions", () => {
  const document = {
    type: "object",
    properties: { grpc: { $ref: "#/definitions/grpc" }, http: { $ref: "#/definitions/http" } },
    definitions: { grpc: component({}), http: component({ url: { type: "string" } }) },
  };

  it("hold what stands twice, once, and leave the rest where it stands", () => {
    const reference = { $ref: "#/definitions/shared.tls" };
    expect(shareDefinitions(document)).toEqual({
      ...document,
      definitions: {
        grpc: { type: "object", properties: { tls: reference } },
        http: { type: "object", properties: { tls: reference, url: { type: "string" } } },
        "shared.tls": TLS,
      },
    });
  });

  it("allow and find the same as before", () => {
    for (const value of [
      { http: { tls: { ca_file: "a" } } },
      { grpc: { tls: { ca_file: 1 } } },
      { grpc: { tls: { x: 1 } } },
    ]) {
      expect(check(shareDefinitions(document), value)).toBe(check(document, value));
    }
  });

  it("of one name get numbers where they differ", () => {
    const other = { ...TLS, description: `${TLS.description} Another one.` };
    const definitions = { a: component({}), b: component({}), c: { properties: { tls: other } }, d: { items: other } };
    const shared = shareDefinitions({ definitions: { ...definitions, d: { properties: { tls: other } } } });
    expect(Object.keys(shared["definitions"] as object)).toEqual(["a", "b", "c", "d", "shared.tls", "shared.tls_2"]);
  });
});
