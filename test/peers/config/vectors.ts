import { readFileSync } from "node:fs";
import type { Case } from "./judge.ts";
import type { ModuleCache } from "./module-cache.ts";

/**
 * Values as the environment gives them, put where both sides take a value of some type. What they become is read from
 * `print-config`, so that a difference in a value counts like one in a verdict.
 */
export interface Vector extends Case {
  /** Where print-config shows it, below `exporters.otlp_grpc`. */
  readonly target: Target;
}

const TARGETS = {
  text: "headers: { v: VALUE }",
  number: "sending_queue: { num_consumers: VALUE }",
  bool: "wait_for_ready: VALUE",
  duration: "timeout: VALUE",
  endpoint: "endpoint: VALUE",
} as const;

export type Target = keyof typeof TARGETS;

function vector(id: string, target: Target, written: string, env: Readonly<Record<string, string>>): Vector {
  const body = TARGETS[target].replace("VALUE", () => JSON.stringify(written));
  const lines = [
    "receivers: { otlp: { protocols: { grpc: } } }",
    "exporters:",
    "  otlp_grpc:",
    ...(target === "endpoint" ? [] : ["    endpoint: localhost:4317"]),
    `    ${body}`,
    "service: { pipelines: { logs: { receivers: [otlp], exporters: [otlp_grpc] } } }",
  ];
  return { id, target, configs: ["config.yaml"], files: { "config.yaml": lines.join("\n") }, env };
}

// One case of a table-driven Go test: fields on lines of their own, texts in quotes.
const EXPAND_CASE = /\{\s*name:\s*"([^"]+)",\s*input:\s*"([^"]*)",/g;

/** The variables of newEnvProvider() in that test. */
const EXPAND_ENV = {
  COMPLEX_VALUE: "[localhost:3042]",
  HOST: "localhost",
  TIMESTAMP: "2023-03-20T03:17:55.432328Z",
  OS: "ubuntu",
  PR: "amd",
  PORT: "3044",
  INT: "1",
  INT32: "32",
  INT64: "64",
  FLOAT32: "3.25",
  FLOAT64: "6.4",
  BOOL: "true",
};

/** confmap's test of expansions. Its scheme `test:` gives its own text, as `yaml:` does. */
function expandVectors(cache: ModuleCache): Vector[] {
  const path = cache.path("confmap", "expand_test.go");
  if (path === undefined) return [];
  const found = readFileSync(path, "utf8").matchAll(EXPAND_CASE);
  return Array.from(found, ([, name = "", input = ""]) =>
    vector(`confmap/expand_test.go#${name}`, "text", input.replaceAll("test:", "yaml:"), EXPAND_ENV),
  );
}

const ENV_CASE = /\{name:\s*"([^"]+)",(?:\s*unset:\s*(true),)?(?:\s*value:\s*"([^"]*)",)?\s*uri:\s*"([^"]+)"/g;

/** envprovider's test of variables with defaults. */
function envVectors(cache: ModuleCache): Vector[] {
  const path = cache.path("confmap/provider/envprovider", "provider_test.go");
  if (path === undefined) return [];
  const found = readFileSync(path, "utf8").matchAll(ENV_CASE);
  return Array.from(found, ([, name = "", unset, value = "", uri = ""]) =>
    vector(`envprovider/provider_test.go#${name}`, "text", `\${${uri}}`, unset === undefined ? { MY_VAR: value } : {}),
  );
}

/** What people put into variables, in every type of YAML's core schema and near it. */
const VALUES = [
  "",
  "123",
  "-5",
  "012",
  "0o17",
  "0x1F",
  "0b11",
  "1_000",
  "1.5",
  "1e3",
  ".inf",
  "true",
  "TRUE",
  "yes",
  "on",
  "null",
  "~",
  "10s",
  "1m30s",
  "1h",
  " spaced ",
  '"quoted"',
  "'single'",
  "[a, b]",
  "{a: b}",
  "a: b",
  "# comment",
  "text # comment",
  "-",
  "@at",
  "*alias",
  "[open",
  "2001-01-01",
  "localhost:4318",
  "$$",
  "$HOME",
  "${env:OTHER}",
  "pa$$word",
  "line\nbreak",
];

const FORMS = ["${env:V}", "${V}", "<${env:V}>", "${env:UNSET:-${env:V}}", "${env:${env:NAME}}", "${yaml:${env:V}}"];
const UNSET = ["${env:UNSET}", "${UNSET}", "${env:UNSET:-}", "a${env:UNSET}b", "${env:UNSET:-10s}", "${env:UNSET:-5}"];

function castVectors(): Vector[] {
  const env = { OTHER: "other", NAME: "V" };
  const targets = Object.keys(TARGETS) as Target[];
  const cast = targets.flatMap((target) => {
    const forms = target === "text" ? FORMS : FORMS.slice(0, 1);
    return VALUES.flatMap((value) =>
      forms.map((form) => vector(`${target}: ${form}, V=${JSON.stringify(value)}`, target, form, { ...env, V: value })),
    );
  });
  const unset = targets.flatMap((target) => UNSET.map((form) => vector(`${target}: ${form}`, target, form, {})));
  return [...cast, ...unset];
}

export function readVectors(cache: ModuleCache): Vector[] {
  return [...expandVectors(cache), ...envVectors(cache), ...castVectors()];
}
