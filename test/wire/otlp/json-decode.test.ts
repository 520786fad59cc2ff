import { describe, expect, it } from "vitest";
import { DecodeError } from "../../../src/wire/decode-error.ts";
import { decodeJsonRequest } from "../../../src/wire/otlp/json-decode.ts";
import { encodeJsonRequest } from "../../../src/wire/otlp/json-encode.ts";
import { fullDecode } from "./json-reference.ts";

const inRecord = (member: string): string => `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{${member}}]}]}]}`;
const RECORD = "resourceLogs[0].scopeLogs[0].logRecords[0]";

/** What a record with this member comes back as, default values left out. */
function roundTrip(member: string): unknown {
  const { bytes } = decodeJsonRequest("logs", inRecord(member));
  const request = JSON.parse(encodeJsonRequest("logs", bytes)) as {
    resourceLogs: { scopeLogs: { logRecords: unknown[] }[] }[];
  };
  return request.resourceLogs[0]!.scopeLogs[0]!.logRecords[0];
}

/** A body of so many arrays in each other. */
function nested(arrays: number): string {
  return inRecord(`"body":${'{"arrayValue":{"values":['.repeat(arrays)}{}${"]}}".repeat(arrays)}`);
}

function problemOf(text: string | Uint8Array, strict = false): string {
  try {
    decodeJsonRequest("logs", text, { strict });
  } catch (thrown) {
    if (thrown instanceof DecodeError) return thrown.message;
    throw thrown;
  }
  return "no error";
}

describe("decodeJsonRequest", () => {
  it.each([
    [
      "ids in any case",
      '"traceId":"5B8EFFF798038103d269b633813fc60c","spanId":"EEE19B7EC3C1B174"',
      { traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174" },
    ],
    ["an empty id as none", '"traceId":"","spanId":""', {}],
    ["64-bit integers as strings", '"timeUnixNano":"18446744073709551615"', { timeUnixNano: "18446744073709551615" }],
    [
      "64-bit integers as numbers beyond 2^53, every digit",
      '"timeUnixNano":9007199254740993,"body":{"intValue":-9223372036854775807}',
      { timeUnixNano: "9007199254740993", body: { intValue: "-9223372036854775807" } },
    ],
    [
      "integers with an exponent or a fraction of zeros",
      '"timeUnixNano":1.5e3,"severityNumber":9.0,"flags":"10e-1"',
      { timeUnixNano: "1500", severityNumber: 9, flags: 1 },
    ],
    [
      "small integers as strings",
      '"flags":"3","droppedAttributesCount":"4294967295"',
      { flags: 3, droppedAttributesCount: 4294967295 },
    ],
    [
      "doubles that JSON has no number for",
      '"body":{"arrayValue":{"values":[{"doubleValue":"NaN"},{"doubleValue":"Infinity"},{"doubleValue":"-Infinity"}]}}',
      {
        body: {
          arrayValue: { values: [{ doubleValue: "NaN" }, { doubleValue: "Infinity" }, { doubleValue: "-Infinity" }] },
        },
      },
    ],
    [
      "doubles as strings, and the sign of zero",
      '"body":{"arrayValue":{"values":[{"doubleValue":"1.5e-3"},{"doubleValue":-0.0}]}}',
      { body: { arrayValue: { values: [{ doubleValue: 0.0015 }, { doubleValue: -0 }] } } },
    ],
    ["an enum value that the schema does not know", '"severityNumber":99', { severityNumber: 99 }],
    ["a negative enum value", '"severityNumber":-1', { severityNumber: -1 }],
    [
      "base64 with and without padding, standard and URL-safe",
      '"body":{"arrayValue":{"values":[{"bytesValue":"AP/+gA=="},{"bytesValue":"AP_-gA"},{"bytesValue":""}]}}',
      {
        body: { arrayValue: { values: [{ bytesValue: "AP/+gA==" }, { bytesValue: "AP/+gA==" }, { bytesValue: "" }] } },
      },
    ],
    ["null as absent", '"body":null,"attributes":null,"severityText":null,"timeUnixNano":null,"traceId":null', {}],
    [
      "null in an array of messages as an empty one",
      '"body":{"arrayValue":{"values":[null,{"intValue":"1"}]}}',
      { body: { arrayValue: { values: [{}, { intValue: "1" }] } } },
    ],
    [
      "every escape",
      '"severityText":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\ud83d\\ude00"',
      { severityText: '"\\/\b\f\n\r\tAé😀' },
    ],
    [
      "half of a surrogate pair as U+FFFD",
      '"severityText":"\\ud83d|\\ude00|\\ud83dx|\\ud83d\\n"',
      { severityText: "\ufffd|\ufffd|\ufffdx|\ufffd\n" },
    ],
    ["names with escapes", '"severity\\u0054ext":"error"', { severityText: "error" }],
    [
      "snake_case and other unknown names as nothing",
      '"severity_text":"error","trace_id":5,"x":{"y":[1,{"z":null},[],{},"\\n",true,-1.5e3]},"severityText":"kept"',
      { severityText: "kept" },
    ],
    [
      "the last of a scalar that stands twice, a zero too",
      '"severityNumber":9,"severityText":"a","severityText":"b","severityNumber":0',
      { severityText: "b" },
    ],
    ["the last member of a oneof", '"body":{"stringValue":"a","intValue":"1"}', { body: { intValue: "1" } }],
    [
      "a list that stands twice as one",
      '"attributes":[{"key":"a"}],"attributes":[{"key":"b"}]',
      { attributes: [{ key: "a" }, { key: "b" }] },
    ],
    ["a zero in a oneof as a value", '"body":{"intValue":0}', { body: { intValue: "0" } }],
    [
      "an empty object as a value that is there",
      '"body":{},"attributes":[{"key":"k","value":{}}]',
      { body: {}, attributes: [{ key: "k", value: {} }] },
    ],
  ])("reads %s", (_, member, expected) => {
    expect(roundTrip(member)).toEqual(expected);
  });

  it("counts the names of enum values and takes them", () => {
    const text = inRecord('"severityNumber":"SEVERITY_NUMBER_ERROR2"');
    const { bytes, enumNames } = decodeJsonRequest("logs", text);
    expect(enumNames).toBe(1);
    expect(JSON.parse(encodeJsonRequest("logs", bytes))).toHaveProperty(`${RECORD}.severityNumber`, 18);
  });

  it("tells a written zero from none where the schema does", () => {
    const point = { timeUnixNano: "2", sum: 0, min: 0, count: "0", bucketCounts: ["1", "0"], explicitBounds: [0] };
    const request = {
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "h", histogram: { dataPoints: [point] } }] }] }],
    };
    const { bytes } = decodeJsonRequest("metrics", JSON.stringify(request));
    const { count: _, ...kept } = point;
    expect(JSON.parse(encodeJsonRequest("metrics", bytes))).toEqual({
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "h", histogram: { dataPoints: [kept] } }] }] }],
    });
  });

  it("makes the same request of a JavaScript string with half a surrogate pair as of its UTF-8", () => {
    expect(roundTrip('"severityText":"\ud83d"')).toEqual({ severityText: "\ufffd" });
  });
});

describe("decodeJsonRequest refuses", () => {
  const rows: readonly (readonly [name: string, member: string, problem: string])[] = [
    [
      "a time that is no number",
      '"timeUnixNano":"abc"',
      `${RECORD}.timeUnixNano: found "abc", expected a decimal string or an integer (offset 62)`,
    ],
    [
      "an empty time",
      '"timeUnixNano":""',
      `${RECORD}.timeUnixNano: found "", expected a decimal string or an integer (offset 62)`,
    ],
    [
      "a fraction of a nanosecond",
      '"timeUnixNano":1.5',
      `${RECORD}.timeUnixNano: found 1.5, expected a decimal string or an integer (offset 62)`,
    ],
    [
      "a negative time",
      '"timeUnixNano":-1',
      `${RECORD}.timeUnixNano: found -1, expected an integer from 0 to 18446744073709551615 (offset 62)`,
    ],
    [
      "a time past 64 bits",
      '"timeUnixNano":18446744073709551616',
      `${RECORD}.timeUnixNano: found 18446744073709551616, expected an integer from 0 to 18446744073709551615 (offset 62)`,
    ],
    [
      "a time with a huge exponent",
      '"timeUnixNano":1e999999999',
      `${RECORD}.timeUnixNano: found 1e999999999, expected an integer from 0 to 18446744073709551615 (offset 62)`,
    ],
    [
      "an int64 past its range",
      '"body":{"intValue":"9223372036854775808"}',
      `${RECORD}.body.intValue: found "9223372036854775808", expected an integer from -9223372036854775808 to 9223372036854775807 (offset 66)`,
    ],
    [
      "a uint32 past its range",
      '"flags":4294967296',
      `${RECORD}.flags: found 4294967296, expected an integer from 0 to 4294967295 (offset 55)`,
    ],
    [
      "an enum value past 32 bits",
      '"severityNumber":2147483648',
      `${RECORD}.severityNumber: found 2147483648, expected an integer from -2147483648 to 2147483647 (offset 64)`,
    ],
    [
      "an enum name that it does not know",
      '"severityNumber":"LOUD"',
      `${RECORD}.severityNumber: found "LOUD", expected an integer (0 to 24) (offset 64)`,
    ],
    [
      "an enum value in quotes",
      '"severityNumber":"9"',
      `${RECORD}.severityNumber: found "9", expected an integer (0 to 24) (offset 64)`,
    ],
    [
      "a trace id of the wrong length",
      '"traceId":"5b8e"',
      `${RECORD}.traceId: found "5b8e", expected 32 hex digits, or "" for none (offset 57)`,
    ],
    [
      "a span id that is not hex",
      '"spanId":"zze19b7ec3c1b174"',
      `${RECORD}.spanId: found "zze19b7ec3c1b174", expected 16 hex digits, or "" for none (offset 56)`,
    ],
    [
      "an id in base64",
      '"traceId":"W47/95gDgQPSabYzgT/GDA=="',
      `${RECORD}.traceId: found "W47/95gDgQPSabYzgT/GDA==", expected 32 hex digits, or "" for none (offset 57)`,
    ],
    [
      "an id that is a number",
      '"spanId":5',
      `${RECORD}.spanId: found 5, expected 16 hex digits, or "" for none (offset 56)`,
    ],
    [
      "bytes that are not base64",
      '"body":{"bytesValue":"a b="}',
      `${RECORD}.body.bytesValue: found "a b=", expected a base64 string (offset 68)`,
    ],
    [
      "base64 with half its padding",
      '"body":{"bytesValue":"AA="}',
      `${RECORD}.body.bytesValue: found "AA=", expected a base64 string (offset 68)`,
    ],
    [
      "a number where a string belongs",
      '"severityText":5',
      `${RECORD}.severityText: found 5, expected a string (offset 62)`,
    ],
    [
      "an object where a string belongs",
      '"severityText":{}',
      `${RECORD}.severityText: found an object, expected a string (offset 62)`,
    ],
    [
      "a string where a bool belongs",
      '"body":{"boolValue":"true"}',
      `${RECORD}.body.boolValue: found "true", expected true or false (offset 67)`,
    ],
    [
      "a word where a double belongs",
      '"body":{"doubleValue":"inf"}',
      `${RECORD}.body.doubleValue: found "inf", expected a number, "NaN", "Infinity" or "-Infinity" (offset 69)`,
    ],
    [
      "a double past its range",
      '"body":{"doubleValue":1e400}',
      `${RECORD}.body.doubleValue: found 1e400, expected a number within the range of a double (offset 69)`,
    ],
    [
      "a string where a message belongs",
      '"body":"text"',
      `${RECORD}.body: found "text", expected an object (offset 54)`,
    ],
    [
      "an object where a list belongs",
      '"attributes":{"a":1}',
      `${RECORD}.attributes: found an object, expected an array (offset 60)`,
    ],
    [
      "a string in a list of messages",
      '"attributes":[{"key":"a"},"b"]',
      `${RECORD}.attributes[1]: found "b", expected an object (offset 73)`,
    ],
    ["a name without quotes", "body:1", `${RECORD}: found body, expected a name in quotes (offset 47)`],
    ["a comma too many", '"flags":1,', `${RECORD}: found "}", expected a name in quotes (offset 57)`],
    [
      "a missing comma",
      '"flags":1 "severityText":""',
      `${RECORD}.flags: found "severityText", expected "," or "}" (offset 57)`,
    ],
    ["a missing colon", '"flags" 1', `${RECORD}.flags: found 1, expected ":" (offset 55)`],
    ["a number as JSON does not write it", '"flags":01', `${RECORD}.flags: found 1, expected "," or "}" (offset 56)`],
    [
      "a number without digits",
      '"flags":-',
      `${RECORD}.flags: found -, expected a number as JSON writes it (offset 55)`,
    ],
    [
      "an escape that JSON does not know",
      '"severityText":"\\x41"',
      `${RECORD}.severityText: found "\\", expected an escape of JSON (offset 63)`,
    ],
    [
      "a cut \\u escape",
      '"severityText":"\\u12"',
      `${RECORD}.severityText: found "\\", expected \\u and four hex digits (offset 63)`,
    ],
    [
      "a line break in a string",
      '"severityText":"a\nb"',
      `${RECORD}.severityText: found the control character 0x0a, expected an escape (\\u00..) (offset 64)`,
    ],
    [
      "a bad value of an unknown name",
      '"unknown":{"a":[1,nil]}',
      `${RECORD}.unknown.a[1]: found nil, expected a JSON value (offset 65)`,
    ],
    [
      "a bad escape in an unknown name's value",
      '"unknown":"\\q"',
      `${RECORD}.unknown: found "\\q", expected a string with the escapes of JSON (offset 57)`,
    ],
  ];

  it.each(rows)("%s", (_, member, problem) => {
    expect(problemOf(inRecord(member))).toBe(problem);
  });

  it.each([
    ["nothing at all", "", "found the end of the text, expected an object (offset 0)"],
    ["null", "null", "found null, expected an object (offset 0)"],
    ["a list", "[]", "found an array, expected an object (offset 0)"],
    ["a second text after the request", "{} {}", "found an object, expected nothing after the request (offset 3)"],
    [
      "a request that is cut",
      '{"resourceLogs":[{"scopeLogs":',
      "resourceLogs[0].scopeLogs: found the end of the text, expected an array (offset 30)",
    ],
    [
      "a string that is cut",
      '{"resourceLogs":[{"schemaUrl":"http',
      "resourceLogs[0].schemaUrl: found the end of the text, expected the end of a string (offset 35)",
    ],
    [
      "a cut escape at the end",
      '{"resourceLogs":[{"schemaUrl":"\\',
      "resourceLogs[0].schemaUrl: found the end of the text, expected the end of a string (offset 32)",
    ],
  ])("%s", (_, text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  it("the names of enum values when strict", () => {
    const problem = problemOf(inRecord('"severityNumber":"SEVERITY_NUMBER_INFO"'), true);
    expect(problem).toBe(
      `${RECORD}.severityNumber: found "SEVERITY_NUMBER_INFO", expected the integer 9: OTLP/JSON does not allow the names of enum values (offset 64)`,
    );
  });

  it("bytes that are not UTF-8, and says where", () => {
    const text = Buffer.from(inRecord(`"severityText":"é中😀 and then X"`));
    text[text.indexOf("X")] = 0xff;
    expect(problemOf(text)).toBe(
      `${RECORD}.severityText: found the byte 0xff, expected UTF-8 (offset ${text.indexOf(0xff)})`,
    );
  });

  it("long values without quoting them whole", () => {
    const problem = problemOf(inRecord(`"timeUnixNano":"${"9".repeat(1000)}"`));
    expect(problem).toContain(`found "${"9".repeat(31)}…, expected an integer from 0`);
  });

  it("messages that nest deeper than 64, known or unknown, and takes those that do not", () => {
    // Request, ResourceLogs, ScopeLogs, LogRecord and the body's AnyValue are five; each array is two more.
    expect(problemOf(nested(29))).toBe("no error");
    expect(problemOf(nested(30))).toMatch(/\.values\[0\]: nests deeper than 64 messages \(offset \d+\)$/);
    expect(problemOf(`{"x":${"[".repeat(1e6)}`)).toMatch(/^x\[0\].*: nests deeper than 64 messages \(offset \d+\)$/);
  });
});

describe("decodeJsonRequest over every prefix and every changed byte of a request", () => {
  const text = Buffer.from(
    inRecord(
      '"timeUnixNano":"1","severityNumber":9,"traceId":"5b8efff798038103d269b633813fc60c","body":{"stringValue":"a\\né"},"attributes":[{"key":"k","value":{"doubleValue":1.5}},{"key":"l","value":{"boolValue":true}}],"x":[{"y":null}]',
    ),
  );

  it("refuses every prefix with a DecodeError", () => {
    for (let size = 0; size < text.length; size++) {
      expect(() => decodeJsonRequest("logs", text.subarray(0, size))).toThrow(DecodeError);
    }
  });

  it("answers each flipped bit with a request or a DecodeError, and takes no text that JSON.parse refuses", () => {
    for (let bit = 0; bit < text.length * 8; bit++) {
      const changed = Buffer.from(text);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      const problem = problemOf(changed);
      if (problem !== "no error") continue;
      expect(() => JSON.parse(changed.toString("utf8")) as unknown).not.toThrow();
      fullDecode("logs", decodeJsonRequest("logs", changed).bytes);
    }
  });
});
