import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatQueryError, QueryError } from "../../src/store/query-error.ts";
import { parseQuery, QUERY_CHARS_MAX, QUERY_TERMS_MAX } from "../../src/store/query-parser.ts";
import { fuzz } from "../support/fuzz.ts";

/** Anything else than a QueryError is thrown on. */
function faultOf(query: string): QueryError | undefined {
  try {
    parseQuery(query);
    return undefined;
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}

function fault(query: string): QueryError {
  const found = faultOf(query);
  if (found === undefined) throw new Error(`"${query}" was read without a fault`);
  return found;
}

describe("what a query says", () => {
  test("reads the query of the issue", () => {
    expect(
      parseQuery('machine_id:"railway-abc123" service_type:comfyui level:error "model load failed"').terms,
    ).toEqual([
      { kind: "column", key: "machine_id", value: "railway-abc123", isPrefix: false },
      { kind: "column", key: "service_type", value: "comfyui", isPrefix: false },
      { kind: "severity", min: 17, max: 20 },
      { kind: "text", text: "model load failed", isPrefix: false },
    ]);
  });

  test.each([
    ["machine.id:x", "machine_id"],
    ["machineId:x", "machine_id"],
    ["MACHINE_ID:x", "machine_id"],
    ["worker.id:x", "worker_id"],
    ["service.type:x", "service_type"],
    ["emp.job.id:x", "job_id"],
    ["jobId:x", "job_id"],
    ["service.instance.id:x", "instance_id"],
    ["service:x", "service_name"],
  ])("takes %s for %s", (query, key) => {
    expect(parseQuery(query).terms).toEqual([{ kind: "column", key, value: "x", isPrefix: false }]);
  });

  test("searches any other key among the attributes", () => {
    expect(parseQuery("node_id:7").terms).toEqual([{ kind: "attribute", key: "node_id", value: "7", isPrefix: false }]);
  });

  test.each([
    ["level:warn", 13, 16],
    ["level:WARNING", 13, 16],
    ["severity:critical", 21, 24],
    ["level>=warn", 13, 24],
    ["level>warn", 17, 24],
    ["level<=info", 0, 12],
    ["level<info", 0, 8],
    ["level:unset", 0, 0],
  ])("reads %s as severities %i to %i", (query, min, max) => {
    expect(parseQuery(query).terms).toEqual([{ kind: "severity", min, max }]);
  });

  test("compares durations, with open and closed ends", () => {
    expect(parseQuery("duration_ms>=1500").terms).toEqual([
      { kind: "range", key: "duration_ms", min: 1500, max: Infinity },
    ]);
    const [open] = parseQuery("duration_ms>1500").terms;
    expect(open).toMatchObject({ kind: "range", max: Infinity });
    expect(open?.kind === "range" && open.min > 1500 && open.min < 1500.000001).toBe(true);
  });

  test("a star at the end asks for a beginning, elsewhere it is itself", () => {
    expect(parseQuery('mod* job_id:job-* name:"a b"* x:a*b').terms).toEqual([
      { kind: "text", text: "mod", isPrefix: true },
      { kind: "column", key: "job_id", value: "job-", isPrefix: true },
      { kind: "attribute", key: "name", value: "a b", isPrefix: true },
      { kind: "attribute", key: "x", value: "a*b", isPrefix: false },
    ]);
  });

  test("trace ids are found in any case and with dashes", () => {
    expect(parseQuery("trace_id:4BF92F35-77B34DA6A3CE929D0E0E4736").terms).toMatchObject([
      { value: "4bf92f3577b34da6a3ce929d0e0e4736" },
    ]);
  });

  test("an address or a time of day is text, not a key", () => {
    expect(parseQuery("http://localhost:8188/prompt 12:30:01").terms).toEqual([
      { kind: "text", text: "http://localhost:8188/prompt", isPrefix: false },
      { kind: "text", text: "12:30:01", isPrefix: false },
    ]);
  });

  test("quotes take escapes", () => {
    expect(parseQuery(String.raw`"say \"a\" \\ b\tc"`).terms).toEqual([
      { kind: "text", text: 'say "a" \\ b\tc', isPrefix: false },
    ]);
  });

  test("nothing asks for everything", () => {
    expect(parseQuery("  \t ").terms).toEqual([]);
  });
});

describe("what is wrong with a query", () => {
  test.each([
    ['level:error "model load', 12, "the quote that opens here is not closed"],
    ["level:eror", 6, '"eror" is no level'],
    ["job_id: x", 0, "job_id: has no value"],
    ['job_id:""', 0, "job_id: has no value"],
    ["a -b", 2, "excluding with - is not part of the query language"],
    ["(a b)", 0, "grouping with ( is not part of the query language"],
    ["a AND b", 2, "the word AND is not part of the query language"],
    ["job_id>5", 0, "job_id cannot be compared with >"],
    ["duration_ms:long", 12, '"long" is no number of milliseconds'],
    [String.raw`"a\qb"`, 2, String.raw`"\q" is no escape`],
    ['"--" x', 0, '"--" has no letters or digits'],
    ['""', 0, "there is nothing to search for here"],
  ])("%s: says where and what", (query, position, message) => {
    expect(fault(query)).toMatchObject({ position, message });
  });

  test("draws a caret under the fault, and offers the fix", () => {
    const query = "service_type:comfyui level:eror";
    expect(formatQueryError(query, fault(query))).toBe(
      [
        "  service_type:comfyui level:eror",
        "                             ^^^^",
        '"eror" is no level',
        "  did you mean error?",
      ].join("\n"),
    );
  });

  test("shows the piece around the fault of a long query", () => {
    const query = `${"x".repeat(300)} level:eror ${"y".repeat(300)}`;
    const [excerpt = "", caret = ""] = formatQueryError(query, fault(query)).split("\n");
    expect(excerpt.length).toBeLessThan(80);
    expect(excerpt.slice(caret.indexOf("^"), caret.lastIndexOf("^") + 1)).toBe("eror");
  });

  test("bounds length and terms, the last one allowed being read", () => {
    expect(parseQuery("x".repeat(QUERY_CHARS_MAX)).terms).toHaveLength(1);
    expect(fault("x".repeat(QUERY_CHARS_MAX + 1)).message).toContain(`at most ${QUERY_CHARS_MAX}`);
    expect(parseQuery("a ".repeat(QUERY_TERMS_MAX)).terms).toHaveLength(QUERY_TERMS_MAX);
    expect(fault("a ".repeat(QUERY_TERMS_MAX + 1)).message).toContain(`more than ${QUERY_TERMS_MAX}`);
  });
});

describe("for any text", () => {
  const hostile = fc.string({
    unit: fc.oneof(
      fc.constantFrom('"', "\\", ":", "*", ">", "=", "(", "-", " ", "\n", "a", "é", "\u0000", "😀"),
      fc.string({ unit: "grapheme", maxLength: 1 }),
    ),
  });

  test("a query is read, or refused at a place inside it with carets to show", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const error = faultOf(text);
        const { position: at, length } = error ?? { position: 0, length: 1 };
        expect(at >= 0 && at <= text.length && length > 0).toBe(true);
        expect(error === undefined ? "^" : formatQueryError(text, error)).toContain("^");
      }),
      fuzz(),
    );
  });

  test("what is put into quotes comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 50 }), (text) => {
        const quoted = text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
        expect(parseQuery(`some.key:"${quoted}"`).terms).toEqual([
          { kind: "attribute", key: "some.key", value: text, isPrefix: false },
        ]);
      }),
      fuzz(),
    );
  });
});

describe("slips that would find nothing", () => {
  test.each([
    ["machine_id=hm", "machine_id:hm"],
    ["level=error", "level:error"],
    ["duration_ms=5", "duration_ms:5"],
    ['machine_id="a b"', 'machine_id:"a b"'],
  ])("%s is read as %s", (slip, meant) => {
    expect(parseQuery(slip).terms).toEqual(parseQuery(meant).terms);
  });

  test("steps=20 is text: only the store's own keys take =", () => {
    expect(parseQuery("steps=20").terms).toEqual([{ kind: "text", text: "steps=20", isPrefix: false }]);
  });

  test.each([
    ["level!=error", 5, 2, "!= is no operator"],
    ["level=~err", 5, 2, "=~ is no operator"],
    ["level=>warn", 5, 2, "=> is no operator"],
    ["machine_id==hm", 10, 2, "== is no operator"],
    ["machine_id:'hm'", 11, 4, "single quotes are part of the value here, they do not hold it together"],
    ["trace_id:zz", 9, 2, "a trace_id is 32 hex digits, this is not"],
    ["trace_id:zz*", 9, 3, "a trace_id is 32 hex digits, this is not"],
    ["span_id:12", 8, 2, "a span_id is 16 hex digits, this is not"],
  ])("%s is refused at its place", (query, position, length, message) => {
    expect(fault(query)).toMatchObject({ position, length, message });
  });

  test("single quotes are answered with the double ones to write", () => {
    expect(fault("machine_id:'hm'").fix).toContain('machine_id:"hm"');
  });
});
