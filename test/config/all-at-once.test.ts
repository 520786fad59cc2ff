import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { formatProblems } from "../../src/config/problem.ts";
import type { Problem } from "../../src/config/problem.ts";
import { block, duration, refuse } from "../../src/config/types.ts";
import { validate } from "../../src/config/validate.ts";
import { parseYaml } from "../../src/config/yaml.ts";
import { localStoreConfig } from "../../src/exporters/local_store/config.ts";
import { otlpGrpcConfig } from "../../src/exporters/otlp_grpc/config.ts";
import { batchConfig } from "../../src/processors/batch/config.ts";
import { fuzz } from "../support/fuzz.ts";

const POSITION = { file: "x.yaml", line: 1, column: 1 };

function problemsIn(schema: z.ZodType, value: unknown): readonly Problem[] {
  const { root, problems } = parseYaml({ name: "x.yaml", text: JSON.stringify(value) });
  if (root === undefined) throw new Error(formatProblems(problems));
  return validate({ schema, root, position: POSITION, path: ["exporters", "x"] }).problems;
}

function told(schema: z.ZodType, value: unknown): string[] {
  return problemsIn(schema, value).map(({ path, message }) => `${path}: ${message}`);
}

describe("a check over several keys", () => {
  it("is made beside a broken key", () => {
    const batch = told(batchConfig, { send_batch_size: 10, send_batch_max_size: 5, timeout: 10 });
    expect(batch.join("\n")).toContain("timeout: found 10 (number)");
    expect(batch.join("\n")).toContain("send_batch_max_size must be greater or equal to send_batch_size");
    const store = told(localStoreConfig, { endpoint: "0.0.0.0:4319", max_age: "7d" });
    expect(store.join("\n")).toContain("max_age: found");
    expect(store.join("\n")).toContain("an endpoint beyond the loopback");
  });

  it("is made in an inner block, and in the one around it", () => {
    const queue = { queue_size: 10, sizer: "items", batch: { flush_timeout: "soon", min_size: 90, max_size: 5 } };
    const said = told(otlpGrpcConfig, { endpoint: "h:1", sending_queue: queue, retry_on_failure: { enabled: "x" } });
    expect(said).toHaveLength(4);
    expect(said.join("\n")).toMatch(/flush_timeout: found[^]*`max_size` \(5\) must be[^]*`min_size` must be less than/);
  });

  it("says nothing of a default that stands in for what is broken", () => {
    expect(told(batchConfig, { send_batch_size: "many", send_batch_max_size: 5 })).toHaveLength(1);
    expect(told(localStoreConfig, { endpoint: "0.0.0.0:4319", token: [1] })).toHaveLength(1);
    expect(told(otlpGrpcConfig, { endpoint: 5, tls: { insecure: 1 } })).toHaveLength(2);
  });

  it("is not asked for where what is broken has no default", () => {
    const schema = block({ a: z.int(), b: z.int(), c: z.int().default(1) }).refine(({ b, c }) => b < c, "b before c");
    expect(told(schema, { a: "x", b: 2 })).toEqual([expect.stringContaining("a: found")]);
  });
});

/** What one part of a block may have wrong with it; `own` are the keys that a check reads. */
interface Fault {
  readonly own: readonly string[];
  readonly value: Readonly<Record<string, unknown>>;
}

const crossed = block({
  low: z.int().default(1),
  high: z.int().default(10),
  wait: duration({ default: "1s" }),
  limit: duration({ default: "1m" }),
  mode: z.enum(["one", "two"]).default("one"),
  token: z.string().optional(),
  open: z.boolean().default(false),
  depth: z.int().min(1).default(3),
}).superRefine(({ low, high, wait, limit, token, open }, context) => {
  if (low > high) refuse(context, { path: ["high"], message: "high is below low" });
  if (wait > limit) refuse(context, { path: ["limit"], message: "limit is below wait" });
  if (open && token === undefined) refuse(context, { path: ["open"], message: "open needs a token" });
});

const CROSSED: readonly Fault[] = [
  { own: ["low", "high"], value: { low: 5, high: 3 } },
  { own: ["wait", "limit"], value: { wait: "2m", limit: "1s" } },
  { own: ["open", "token"], value: { open: true } },
];

const SINGLE: readonly Fault[] = [
  { own: ["low"], value: { low: "x" } },
  { own: ["high"], value: { high: [] } },
  { own: ["wait"], value: { wait: 10 } },
  { own: ["limit"], value: { limit: "soon" } },
  { own: ["mode"], value: { mode: "three" } },
  { own: ["token"], value: { token: {} } },
  { own: ["open"], value: { open: "perhaps" } },
  { own: ["depth"], value: { depth: 0 } },
  { own: ["other"], value: { other: 1 } },
];

describe("all problems at once", () => {
  it("holds for any faults in single keys beside any faults over several", () => {
    const schemas = [crossed, block({ inner: crossed.transform((value) => value) })] as const;
    const any = fc.tuple(fc.subarray([...CROSSED]), fc.subarray([...SINGLE]), fc.integer({ min: 0, max: 1 }));
    fc.assert(
      fc.property(any, ([over, single, level]) => {
        const wrap = (value: object): object => (level === 1 ? { inner: value } : value);
        const ask = (value: object): string[] => told(schemas[level]!, wrap(value));
        const broken = new Set(single.flatMap(({ own }) => own));
        const apart = over.filter(({ own }) => own.every((key) => !broken.has(key)));
        const alone = [...apart, ...single].flatMap(({ value }) => ask(value));
        const together = ask(Object.assign({}, ...over.map(({ value }) => value), ...single.map(({ value }) => value)));
        expect(together.toSorted()).toEqual(alone.toSorted());
      }),
      fuzz(),
    );
  });
});

describe("a schema that throws", () => {
  const thrower = (isBad: (value: number) => boolean): z.ZodType =>
    block({
      a: z
        .int()
        .default(1)
        .refine((value) => {
          if (isBad(value)) throw new Error("boom\nat somewhere");
          return true;
        }),
      b: z.int().default(1),
    });

  it("is a problem of its block", () => {
    expect(
      problemsIn(
        thrower((value) => value > 3),
        { a: 4 },
      ),
    ).toEqual([
      {
        position: POSITION,
        path: "exporters.x",
        message: "its schema threw: Error: boom",
        fix: "mend the refine() or transform() in x's config",
      },
    ]);
  });

  it("keeps what was found before", () => {
    expect(
      told(
        thrower(() => true),
        { c: 1 },
      ),
    ).toEqual([expect.stringContaining("its schema threw")]);
    const late = block({ a: z.string().default("a"), b: z.int() }).transform(({ b }) => {
      if (b > 3) throw new Error("boom");
      return b;
    });
    expect(told(late, { b: 4, c: 1 })).toEqual([
      expect.stringContaining("unknown key"),
      expect.stringContaining("its schema threw"),
    ]);
  });

  it("is not blamed for a default that stands in for what is broken", () => {
    const schema = block({ a: z.int().default(5), b: z.int().default(1) }).transform(({ a }) => {
      if (a === 5) throw new Error("boom");
      return a;
    });
    expect(told(schema, { a: "x" })).toEqual([expect.stringContaining("a: found")]);
  });
});
