import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";
import { ENUMS, isEnumName, isMessageName, MESSAGES, type FieldSchema } from "../../../src/wire/otlp/schema.ts";
import { otlp } from "./reference.ts";

/** Messages that the proto files nest or name otherwise. */
const PROTO_NAMES: Readonly<Record<string, string>> = {
  SpanEvent: "Span.Event",
  SpanLink: "Span.Link",
  SpanKind: "Span.SpanKind",
  StatusCode: "Status.StatusCode",
  Buckets: "ExponentialHistogramDataPoint.Buckets",
  ValueAtQuantile: "SummaryDataPoint.ValueAtQuantile",
};

function protoName(name: string): string {
  return `.otlp.${PROTO_NAMES[name] ?? name}`;
}

function describeField({ number, name, type, repeated, oneof, optional }: FieldSchema): unknown {
  const isId = type === "traceId" || type === "spanId";
  const plain = isMessageName(type) || isEnumName(type) ? protoName(type) : isId ? "bytes" : type;
  return { number, name, type: plain, repeated: repeated === true, oneof, optional: optional === true };
}

function describeProtoField(field: protobuf.Field): unknown {
  const { id: number, name, type, repeated, resolvedType, partOf } = field.resolve();
  const optional = field.options?.["proto3_optional"] === true;
  const oneof = optional || partOf === null ? undefined : partOf.name;
  return { number, name, type: resolvedType?.fullName ?? type, repeated, oneof, optional };
}

function byNumber(a: protobuf.Field, b: protobuf.Field): number {
  return a.id - b.id;
}

function allTypes(namespace: protobuf.NamespaceBase): protobuf.Type[] {
  return namespace.nestedArray.flatMap((nested) => {
    const inner = nested instanceof protobuf.Namespace ? allTypes(nested) : [];
    return nested instanceof protobuf.Type ? [nested, ...inner] : inner;
  });
}

describe("schema.ts", () => {
  it.each(Object.keys(MESSAGES))("has the fields of %s that the specification has", (name) => {
    const fields = MESSAGES[name as keyof typeof MESSAGES].toSorted((a, b) => a.number - b.number);
    const expected = otlp.lookupType(protoName(name)).fieldsArray.toSorted(byNumber);
    expect(fields.map(describeField)).toEqual(expected.map(describeProtoField));
  });

  it("leaves out no message", () => {
    const expected = allTypes(otlp).map(({ fullName }) => fullName);
    expect(Object.keys(MESSAGES).map(protoName).toSorted()).toEqual(expected.toSorted());
  });

  it.each(Object.keys(ENUMS))("has the values of %s", (name) => {
    expect(ENUMS[name as keyof typeof ENUMS]).toEqual(otlp.lookupEnum(protoName(name)).values);
  });
});
