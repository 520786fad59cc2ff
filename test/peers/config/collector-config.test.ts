import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { readFileSync } from "node:fs";
import { toPlain } from "../../../src/config/located.ts";
import { mergeSources } from "../../../src/config/merge.ts";
import { parseYaml } from "../../../src/config/yaml.ts";
import { schemaFaults } from "../../config/schema-faults.ts";
import { findCollector, PEER_HINT } from "../find.ts";
import { DIFFERENCES, SOURCE_FORM } from "./differences.ts";
import { everydayCases } from "./everyday.ts";
import { readFixtures } from "./fixtures.ts";
import { Judge } from "./judge.ts";
import type { Case, Verdict } from "./judge.ts";
import { ModuleCache } from "./module-cache.ts";
import { ourVerdict } from "./ours.ts";
import { ourValue, theirValue } from "./values.ts";
import { settingCases } from "./setting-cases.ts";
import { readVectors } from "./vectors.ts";

/**
 * The configurations and the environment vectors of the Collector's own tests, put to the Collector and to us. The
 * verdicts are measured, not copied: each is what the binary says.
 */
const binary = findCollector();
const cache = binary === undefined ? undefined : new ModuleCache(binary);
const fixtures = cache === undefined ? { cases: [], skipped: [], missing: ["all"] } : readFixtures(cache);
const covered = new Set<string>();

interface Found {
  readonly id: string;
  readonly collector: string;
  readonly ours: string;
}

/** What is left when the differences with a reason are taken out. */
function unexplained(differences: readonly Found[]): Found[] {
  return differences.filter(({ id }) => {
    const reasons = DIFFERENCES.filter(({ covers }) => covers.test(id));
    for (const { reason } of reasons) covered.add(reason);
    return reasons.length === 0;
  });
}

function report(what: string, cases: number, differences: readonly Found[]): void {
  const explained = differences.filter(({ id }) => DIFFERENCES.some(({ covers }) => covers.test(id))).length;
  const line = `${what}: ${cases - differences.length} of ${cases} as the Collector does, ${explained} otherwise with a reason`;
  process.stdout.write(`${line}\n`);
}

const words = ({ isAccepted, said = "" }: Verdict): string => (isAccepted ? "accepted" : said);

// Without kept verdicts the binary is started some six hundred times.
const COLD_TIMEOUT_MS = 180_000;

describe("beside the real Collector", { timeout: COLD_TIMEOUT_MS }, () => {
  let judge: Judge;
  beforeAll(async () => {
    if (binary !== undefined) judge = await Judge.open(binary);
  });
  afterAll(() => judge?.[Symbol.asyncDispose]());
  beforeEach((context) => {
    context.skip(binary === undefined, `the Collector is not there; ${PEER_HINT}`);
    context.skip(fixtures.missing.length > 0, `Go's module cache lacks the Collector's test data; ${PEER_HINT}`);
  });

  test("each configuration of its tests is accepted or refused as it does", async () => {
    const { cases, skipped } = fixtures;
    const verdicts = await judge.verdicts("validate", cases);
    const differences = cases.flatMap((asked, index) => {
      const ours = ourVerdict(asked);
      const theirs = verdicts[index]!;
      return ours.isAccepted === theirs.isAccepted ? [] : [{ id: asked.id, collector: words(theirs), ours: ours.said }];
    });
    report("configuration fixtures", cases.length, differences);
    const faults = await schemaFaults();
    const underlined = cases
      .filter((asked) => ourVerdict(asked).isAccepted)
      .flatMap(({ id, configs, files }) =>
        configs.flatMap((name) => faults(files[name]!).map((fault) => `${id}: ${fault}`)),
      );
    expect(underlined).toEqual([]);
    for (const line of skipped) process.stdout.write(`  not asked: ${line}\n`);
    expect(cases.length).toBeGreaterThan(50);
    expect(unexplained(differences)).toEqual([]);
  });

  test("each value of the environment becomes what it becomes there", async () => {
    const vectors = readVectors(cache!);
    const verdicts = await judge.verdicts("print-config", vectors);
    const differences = vectors.flatMap((vector, index) => {
      const collector = theirValue(vector, verdicts[index]!);
      const ours = ourValue(vector, ourVerdict(vector));
      // Both refuse: the words differ, and may.
      const isSame = collector === ours || (collector.startsWith("refused") && ours.startsWith("refused"));
      return isSame ? [] : [{ id: vector.id, collector, ours }];
    });
    report("environment vectors", vectors.length, differences);
    expect(vectors.filter(({ id }) => id.includes(".go#")).length).toBeGreaterThan(50);
    expect(unexplained(differences)).toEqual([]);
  });

  test.each([
    ["settings", "each setting that none of its tests asks of is accepted or refused as it does", settingCases()],
    ["everyday configurations", "what people write into a file, and mistype, is accepted or refused", everydayCases()],
  ])("%s: %s", async (what, _promise, cases) => {
    const verdicts = await judge.verdicts("validate", cases);
    const disputed = cases.flatMap((asked, index) => {
      const [ours, theirs] = [ourVerdict(asked), verdicts[index]!];
      return ours.isAccepted === theirs.isAccepted ? [] : [{ asked, ours, theirs }];
    });
    const late = disputed.filter(({ theirs }) => theirs.isAccepted).map(({ asked }) => asked);
    const isEnded = await judge.endAtStart(late);
    const atStart = new Set(late.filter((_, index) => isEnded[index]));
    const differences = disputed
      .filter(({ asked }) => !atStart.has(asked))
      .map(({ asked, ours, theirs }) => ({ id: asked.id, collector: words(theirs), ours: ours.said }));
    report(what, cases.length - atStart.size, differences);
    process.stdout.write(`  refused by the Collector at its start, here before: ${atStart.size}\n`);
    expect(unexplained(differences)).toEqual([]);
  });

  test("a difference without a reason would fail these tests", () => {
    expect(unexplained([{ id: "otelcol/testdata/made-up.yaml", collector: "accepted", ours: "refused" }])).toHaveLength(
      1,
    );
  });

  test("every difference that is written down is seen, and has a specification or an issue beside it", () => {
    expect(DIFFERENCES.filter(({ reason }) => !covered.has(reason))).toEqual([]);
    expect(DIFFERENCES.filter(({ source }) => !SOURCE_FORM.test(source))).toEqual([]);
  });

  test("sources from the command line are read and laid over each other as it does", async () => {
    const cases = commandLines();
    const verdicts = await judge.verdicts("print-config", cases);
    const differences = cases.flatMap((asked, index) => {
      const collector = theirValue({ ...asked, target: "duration" }, verdicts[index]!);
      const ours = ourValue({ ...asked, target: "duration" }, ourVerdict(asked));
      const isSame = collector === ours || (collector.startsWith("refused") && ours.startsWith("refused"));
      return isSame ? [] : [{ id: asked.id, collector, ours }];
    });
    report("command lines", cases.length, differences);
    expect(unexplained(differences)).toEqual([]);
  });
});

const BASE = `receivers: { otlp: { protocols: { grpc: } } }
processors: { batch: { timeout: 1s } }
exporters: { otlp_grpc: { endpoint: "localhost:4317", timeout: 7s, headers: { a: b } } }
service: { pipelines: { logs: { receivers: [otlp], processors: [batch], exporters: [otlp_grpc] } } }
`;

/** What is asked of both: does it load, and which `exporters.otlp_grpc.timeout` does it give? */
function commandLines(): Case[] {
  const files = {
    "base.yaml": BASE,
    "over.yaml": "exporters: { otlp_grpc: { timeout: 8s } }\n",
    "timeout.yaml": "9s",
    "body.yaml": 'endpoint: "localhost:1"\ntimeout: 6s\n',
    "nested.yaml": "timeout: ${file:timeout.yaml}\nendpoint: ${env:ENDPOINT}\n",
    "empty.yaml": "# nothing\n",
    "text.yaml": "just text\n",
    "broken.yaml": "[invalid,",
    "circle.yaml": "${file:circle.yaml}",
  };
  const env = {
    OVER: "exporters: {otlp_grpc: {timeout: 5s}}",
    ENDPOINT: "localhost:2",
    TEXT: "text",
    FILE: "timeout.yaml",
  };
  const ask = (configs: readonly string[], sets: readonly string[] = []): Case => ({
    id: [...configs.map((config) => `--config ${config}`), ...sets.map((set) => `--set ${set}`)].join(" "),
    configs,
    sets,
    files,
    env,
  });
  const over = (...more: string[]): Case => ask(["base.yaml", ...more]);
  const set = (...sets: string[]): Case => ask(["base.yaml"], sets);
  return [
    over(),
    ask(["file:base.yaml"]),
    ask(["none.yaml"]),
    ask(["http:base.yaml"]),
    ask(["nothing:base.yaml"]),
    over("over.yaml"),
    ask(["over.yaml", "base.yaml"]),
    over("over.yaml", "yaml:exporters::otlp_grpc::timeout: 3s"),
    over("env:OVER"),
    over("env:UNSET"),
    over("env:TEXT"),
    over("empty.yaml"),
    over("text.yaml"),
    over("broken.yaml"),
    over("yaml:text"),
    over("yaml:"),
    over("yaml:{exporters: {otlp_grpc::timeout: 3s}}"),
    over("yaml:{exporters::otlp_grpc: {timeout: 3s}}"),
    over("yaml:exporters:"),
    over("yaml:exporters: {}"),
    over("yaml:exporters::otlp_grpc:"),
    over("yaml:exporters::otlp_grpc: {}"),
    over("yaml:processors:"),
    over("yaml:processors::batch:"),
    over("yaml:service::pipelines::logs::processors:"),
    over("yaml:service::pipelines::logs::processors: []"),
    over("yaml:service::pipelines::logs::receivers: []"),
    over("yaml:receivers::otlp::protocols:"),
    over("yaml:receivers::otlp::protocols::grpc:"),
    over("yaml:receivers::otlp::protocols::grpc: {enabled: false}"),
    over("yaml:receivers::otlp::protocols::grpc: {enabled: true}"),
    over("yaml:exporters::otlp_grpc: ${file:body.yaml}"),
    over("yaml:exporters::otlp_grpc: ${file:nested.yaml}"),
    over("yaml:exporters::otlp_grpc::timeout: ${file:timeout.yaml}"),
    over("yaml:exporters::otlp_grpc::timeout: ${file:${env:FILE}}"),
    over("yaml:exporters::otlp_grpc::timeout: ${file:none.yaml}"),
    over("yaml:exporters::otlp_grpc::timeout: ${file:text.yaml}"),
    over("yaml:exporters::otlp_grpc::timeout: ${file:circle.yaml}"),
    over("yaml:exporters::otlp_grpc: ${file:broken.yaml}"),
    over('yaml:exporters::otlp_grpc::timeout: "${yaml:4s}"'),
    over('yaml:exporters::otlp_grpc: "${yaml:timeout: 4s}"'),
    over('yaml:exporters::otlp_grpc::timeout: "${nothing:4s}"'),
    set("exporters.otlp_grpc.timeout=2s"),
    set(" exporters.otlp_grpc.timeout = 2s "),
    set("exporters::otlp_grpc::timeout=2s"),
    set("exporters.otlp_grpc.timeout=1s", "exporters.otlp_grpc.timeout=2s"),
    set("exporters.otlp_grpc={timeout: 2s}"),
    set("exporters.otlp_grpc.timeout=${env:TIMEOUT:-2s}"),
    set("exporters.otlp_grpc.timeout=[2s"),
    set("exporters.otlp_grpc.timeout=2s: 3s"),
    set("exporters.otlp_grpc.no_such_key=2s"),
    set("exporters.otlp_grpc.timeout"),
    set("=2s"),
    set("service.pipelines.logs.exporters=[otlp_grpc]"),
    set("service.pipelines.logs.exporters=[nothing]"),
    set("service.pipelines.logs.processors=[]"),
    set("exporters.otlp_grpc.headers={a: c, d: e}"),
    set("exporters.otlp_grpc.sending_queue.enabled=false"),
    set("exporters.otlp_grpc.sending_queue=null"),
  ];
}

describe("sources that are laid over each other", () => {
  const path = cache?.path("confmap", "testdata/merge-append-scenarios-featuregate-disabled.yaml");
  const scenarios = path === undefined ? [] : (parse(readFileSync(path, "utf8")) as Scenario[]);

  it("give what confmap's own scenarios expect", (context) => {
    context.skip(scenarios.length === 0, `Go's module cache lacks the Collector's test data; ${PEER_HINT}`);
    const right = scenarios.filter(({ configs, expected }) => {
      const roots = configs.flatMap((config) => parseYaml({ name: "x", text: JSON.stringify(config) }).root ?? []);
      const { root } = mergeSources(roots);
      return equals(root === undefined ? null : toPlain(root), expected);
    });
    process.stdout.write(`merge scenarios: ${right.length} of ${scenarios.length} as the Collector does\n`);
    expect(right).toEqual(scenarios);
  });
});

interface Scenario {
  readonly name: string;
  readonly configs: readonly unknown[];
  readonly expected: unknown;
}

function equals(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
