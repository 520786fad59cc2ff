import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { runCommandLine } from "../../src/cli/command-line.ts";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  let stdout = "";
  let stderr = "";
  const code = await runCommandLine(args, {
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    env,
    isTty: false,
  });
  return { code, stdout, stderr };
}

const YAML = `receivers: {otlp: {protocols: {grpc: }}}
exporters: {otlp: {endpoint: "backend:4317", headers: {Authorization: "Bearer \${env:TOKEN}"}}}
service: {pipelines: {logs: {receivers: [otlp], exporters: [otlp]}}}
`;

async function configFile(text = YAML): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "signalbox-cli-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "gateway.yaml");
  await writeFile(path, text);
  return path;
}

const env = { TOKEN: "hush-hush" };

describe("signalbox validate", () => {
  it("says what can stop a valid configuration, and warns of old names", async () => {
    const path = await configFile();
    expect(await run(["validate", "--config", path], env)).toEqual({
      code: 0,
      stdout: `${path}: valid\n  logs waits for otlp once its queue of 1000 requests is full, and then refuses\n`,
      stderr: `warning: ${path}:2:13  exporters.otlp\n  "otlp" alias is deprecated; use "otlp_grpc" instead\n`,
    });
  });

  it("takes a configuration from the environment, and single values from the command line", async () => {
    const { code, stderr } = await run(["validate", "--config=env:ALL", "--set=exporters.otlp.timeout=10"], {
      ...env,
      ALL: YAML,
    });
    expect(code).toBe(2);
    expect(stderr).toContain("--set exporters.otlp.timeout  exporters.otlp.timeout\n  found 10 (number)");
    expect(stderr).toContain("warning: env:ALL:2:13  exporters.otlp");
  });

  it("names every argument that leads nowhere", async () => {
    const { code, stderr } = await run(["validate", "--config", "none.yaml", "--set", "a"]);
    expect([code, stderr.match(/^signalbox validate: --\S+/gm)]).toEqual([
      2,
      ["signalbox validate: --config", "signalbox validate: --set"],
    ]);
  });
});

describe("signalbox print-config", () => {
  it("prints the configuration as it is understood, without secrets, and that loads again", async () => {
    const { code, stdout } = await run(["print-config", "--config", await configFile()], env);
    expect(code).toBe(0);
    expect(stdout).not.toContain("hush-hush");
    expect(parse(stdout)).toMatchObject({
      exporters: { otlp: { timeout: "5s", headers: { Authorization: "[REDACTED]" } } },
    });
    expect((await run(["validate", "--config", await configFile(stdout)])).code).toBe(0);
  });

  it("shows secrets and speaks JSON when asked to", async () => {
    const args = ["print-config", "--config", await configFile(), "--mode", "unredacted", "--format", "json"];
    expect(JSON.parse((await run(args, env)).stdout)).toMatchObject({
      exporters: { otlp: { headers: { Authorization: "Bearer hush-hush" } } },
    });
  });

  it("prints nothing of a configuration that is wrong, and refuses modes that there are not", async () => {
    const path = await configFile("receivers: {}\n");
    expect(await run(["print-config", "--config", path])).toMatchObject({ code: 2, stdout: "" });
    expect(await run(["print-config", "--config", path, "--mode", "plain"])).toEqual({
      code: 2,
      stdout: "",
      stderr: 'signalbox print-config: --mode: found "plain", expected redacted or unredacted\n',
    });
    expect((await run(["print-config", "--format", "xml"])).stderr).toContain("expected yaml or json");
  });
});

describe("signalbox components", () => {
  it("lists every type by kind, with signals and stability, as the Collector does", async () => {
    const { code, stdout } = await run(["components"]);
    const listed = parse(stdout) as Record<string, { name: string; stability: object }[]>;
    expect(code).toBe(0);
    expect(Object.keys(listed)).toEqual([
      "buildinfo",
      "receivers",
      "processors",
      "exporters",
      "connectors",
      "extensions",
      "providers",
    ]);
    expect(listed["receivers"]).toContainEqual({
      name: "otlp",
      stability: { logs: "Alpha", metrics: "Alpha", traces: "Alpha" },
    });
    expect(listed["exporters"]).toContainEqual(
      expect.objectContaining({ name: "otlp_grpc", deprecated_names: ["otlp"] }),
    );
    expect(listed["processors"]?.map(({ name }) => name)).toContain("worker_identity");
  });

  it("lists processors of the user's own", async () => {
    const folder = await mkdtemp(join(tmpdir(), "signalbox-types-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const source = `import { defineProcessor } from "signalbox/sdk";\nexport const mine = defineProcessor({ type: "mine", logs() {} });\n`;
    await writeFile(join(folder, "mine.ts"), source);
    const { stdout } = await run(["components", "--processors", folder]);
    expect((parse(stdout) as { processors: unknown[] }).processors).toContainEqual({
      name: "mine",
      stability: { logs: "Alpha" },
    });
    expect(JSON.parse((await run(["schema", "--processors", folder])).stdout)).toHaveProperty([
      "definitions",
      "processors.mine",
    ]);
  });

  it("says what is wrong with a folder of processors", async () => {
    expect((await run(["components", "--processors", "no-such-folder"])).code).toBe(2);
    expect((await run(["schema", "--nonsense"])).stderr).toMatch(/^signalbox schema: Unknown option/);
  });
});

describe("a mistyped option", () => {
  it.each([
    [["run", "--confg", "x"], "Unknown option '--confg'\n  did you mean --config?\n"],
    [["validate", "--colour"], "Unknown option '--colour'\n  the options are --config, --set, --processors\n"],
    [["print-config", "--mod", "redacted"], "Unknown option '--mod'\n  did you mean --mode?\n"],
    [["components", "--procesors=x"], "Unknown option '--procesors'\n  did you mean --processors?\n"],
    [["logs", "x", "--sinse", "1h"], "Unknown option '--sinse'\n  did you mean --since?\n"],
  ])("of %j is answered with the one that was meant", async (args, answer) => {
    const { code, stderr } = await run(args);
    expect(stderr).toContain(answer);
    expect(code).toBe(2);
  });
});

describe("signalbox help", () => {
  it("lists every command, and each tells its options", async () => {
    expect((await run(["help"])).stdout).toMatch(/print-config[^]*components[^]*schema/);
    expect((await run(["print-config", "--help"])).stdout).toMatch(/--set KEY=VALUE[^]*--mode MODE/);
    expect((await run(["schema", "--help"])).stdout).toContain("--processors DIR");
  });
});
