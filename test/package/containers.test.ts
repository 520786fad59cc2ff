/** Dockerfile and docker-compose.yml, held to what a build would find without one: no container runs here. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test, type TestContext } from "vitest";
import { parse } from "yaml";
import { SLOW_HINT, SLOW_TESTS } from "../support/slow-tests.ts";
import { type BuildStage, copiesOf, isIgnored, parseDockerfile } from "./containers.ts";
import { NETWORK_ERROR, runIn } from "./package-project.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(checkout, path), "utf8");

const dockerfile = read("Dockerfile");
const stages = parseDockerfile(dockerfile);
const stageOf = (name: string): BuildStage => stages.find((stage) => stage.name === name)!;
const textOf = (stage: BuildStage, name: string): string | undefined =>
  stage.instructions.findLast((instruction) => instruction.name === name)?.text;

interface ComposeService {
  readonly build?: { readonly context: string; readonly target: string };
  readonly image?: string;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: readonly string[];
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

const compose = parse(read("docker-compose.yml")) as {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};

/** What is run, by `node` itself: a shell or npm would stand between it and SIGTERM. */
function programOf(command: readonly string[]): string {
  expect(command[0]).toBe("node");
  return command[1]!;
}

describe("the Dockerfile", () => {
  test("has the stages that are built on, each from an image with a version or an earlier stage", () => {
    expect(stages.map(({ name }) => name)).toEqual(["build", "worker", "gateway"]);
    for (const [index, { base }] of stages.entries()) {
      const earlier = stages.slice(0, index).map(({ name }) => name);
      expect(earlier.includes(base) || /^node:\d+-slim$/.test(base), base).toBe(true);
    }
  });

  test("builds on the Node that the package needs", () => {
    const { engines } = JSON.parse(read("package.json")) as { engines: { node: string } };
    const [needed] = /\d+/.exec(engines.node)!;
    const images = stages.map(({ base }) => base).filter((base) => base.startsWith("node:"));
    expect(new Set(images)).toEqual(new Set([`node:${needed}-slim`]));
  });

  test("copies only what is there and what .dockerignore lets through", () => {
    const dockerignore = read(".dockerignore");
    const copies = stages.flatMap(copiesOf);
    expect(copies.length).toBeGreaterThan(5);
    for (const source of copies.flatMap(({ from, sources }) => (from === undefined ? sources : []))) {
      expect(existsSync(join(checkout, source)), source).toBe(true);
      expect(isIgnored(source, dockerignore), `${source} is ignored`).toBe(false);
    }
    for (const { from } of copies) if (from !== undefined) expect(stages.map(({ name }) => name)).toContain(from);
    for (const path of [".git", "node_modules", ".signalbox", "dist", ".env"]) {
      expect(isIgnored(path, dockerignore), path).toBe(true);
    }
  });

  test.for(["worker", "gateway"])("%s runs node directly, not as root, on a file that is in it", (name) => {
    const stage = stageOf(name);
    const program = programOf(JSON.parse(textOf(stage, "CMD")!) as string[]);
    const [top] = program.split("/");
    expect(copiesOf(stage).flatMap(({ sources }) => sources)).toContain(top);
    expect(existsSync(join(checkout, program)), program).toBe(true);
    const last = stage.instructions.findLastIndex(({ name: found }) => found === "USER");
    expect(stage.instructions[last]?.text).toBe("node");
    expect(stage.instructions.slice(last + 1).map(({ name: later }) => later)).not.toContain("RUN");
  });

  test("runs a configuration that is copied, and exposes its doors", () => {
    const gateway = stageOf("gateway");
    const command = JSON.parse(textOf(gateway, "CMD")!) as string[];
    expect(existsSync(join(checkout, command[command.indexOf("--config") + 1]!))).toBe(true);
    expect(textOf(gateway, "EXPOSE")).toBe("4317 4318 13133");
  });
});

describe("docker-compose.yml", () => {
  test("builds targets that the Dockerfile has", () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.image, name).toBeUndefined();
      expect(service.build?.context).toBe(".");
      expect(stages.map((stage) => stage.name)).toContain(service.build?.target);
    }
  });

  test("opens ports on the loopback alone", () => {
    const ports = Object.values(compose.services).flatMap(({ ports: own = [] }) => own);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test("runs node on files that are in the image, and depends on what it has", () => {
    const names = Object.keys(compose.services);
    for (const { command, depends_on: others = [], volumes = [] } of Object.values(compose.services)) {
      for (const other of others) expect(names).toContain(other);
      for (const volume of volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(":")[0]);
      if (command === undefined) continue;
      expect(existsSync(join(checkout, programOf(command)))).toBe(true);
      expect(existsSync(join(checkout, command[command.indexOf("--config") + 1]!))).toBe(true);
    }
  });

  test("sends its worker to the gateway by its name and port", () => {
    const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = compose.services["worker"]!.environment!;
    const { hostname, port } = new URL(endpoint!);
    expect(Object.keys(compose.services)).toContain(hostname);
    expect(textOf(stageOf("gateway"), "EXPOSE")!.split(" ")).toContain(port);
  });
});

test.for(["Dockerfile", "docker-compose.yml", ".dockerignore", "collector/gateway.yaml", "collector/compose.yaml"])(
  "%s holds no secret",
  (path) => {
    const text = read(path);
    expect(text).not.toMatch(
      /auth_[A-Za-z0-9]{8,}|Bearer [A-Za-z0-9]{8,}|(?:token|password|secret)\s*[:=]\s*["']?[A-Za-z0-9]{6,}/i,
    );
    expect(text).not.toMatch(/^\s*(?:ARG|ENV)\s+\S*(?:TOKEN|SECRET|PASSWORD|KEY)/im);
  },
);

describe("the Dockerfile's steps, done in a folder with what they copy and nothing else", () => {
  test("build the package, and install what the gateway needs to start", async (context) => {
    if (!SLOW_TESTS) context.skip(SLOW_HINT);
    const built = await build("build", context);
    expect(existsSync(join(built, "dist/src/main.js"))).toBe(true);
    const gateway = await build("gateway", context, { build: built });
    const version = await runIn(gateway, process.execPath, ["bin/signalbox.mjs", "--version"]);
    expect(version).toMatch(/^signalbox \d/);
    await runIn(gateway, process.execPath, ["bin/signalbox.mjs", "validate", "--config", "collector/compose.yaml"]);
  }, 300_000);
});

/** A stage's COPY and RUN lines in a folder of their own. Steps on the image's own system (users, /data) are left out. */
async function build(
  name: string,
  context: TestContext,
  earlier: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), `signalbox-${name}-`));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const step of stageOf(name).instructions) {
    if (step.name === "COPY")
      for (const copy of copiesOf({ name, base: "", instructions: [step] })) place(copy, folder, earlier);
    if (step.name === "RUN") for (const command of commandsIn(step.text)) await runStep(folder, command, context);
  }
  return folder;
}

function place(
  copy: ReturnType<typeof copiesOf>[number],
  folder: string,
  earlier: Readonly<Record<string, string>>,
): void {
  for (const source of copy.sources) {
    const from =
      copy.from === undefined ? join(checkout, source) : join(earlier[copy.from]!, source.replace("/app/", ""));
    // A folder's contents go to the target, as Docker has it; several files, or one to "./", go into it.
    const to = copy.target.endsWith("/") ? join(folder, copy.target, source) : join(folder, copy.target);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith("/node_modules") });
  }
}

const ON_THE_IMAGE = /^(mkdir -p \/data|chown node:node \/data|npm cache clean --force)$/;

function commandsIn(text: string): string[] {
  return text
    .split("&&")
    .map((command) => command.trim())
    .filter((command) => !ON_THE_IMAGE.test(command));
}

async function runStep(folder: string, command: string, context: TestContext): Promise<void> {
  const [program = "", ...args] = command.split(/\s+/);
  const offline = program === "npm" ? ["--prefer-offline", "--no-audit", "--no-fund"] : [];
  try {
    await runIn(folder, program === "node" ? process.execPath : program, [...args, ...offline]);
  } catch (error) {
    if (program === "npm" && NETWORK_ERROR.test(String(error)))
      context.skip(`npm cannot reach its registry: ${command}`);
    throw error;
  }
}
