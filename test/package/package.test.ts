/** The package as a user gets it: built, packed, installed into an empty project outside the checkout, and used there. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, type TestContext } from "vitest";
import { HttpBackend } from "../exporters/otlp_http/http-backend.ts";
import { TestProcess } from "../support/processes.ts";
import { decodeReference } from "../wire/otlp/reference.ts";
import { NoRegistryError, PackageProject, plainEnv, readPackageJson } from "./package-project.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const MIB = 1024 * 1024;

let installed: PackageProject | undefined;
let noRegistry: string | undefined;

beforeAll(async () => {
  try {
    installed = await PackageProject.install();
  } catch (error) {
    if (!(error instanceof NoRegistryError)) throw error;
    noRegistry = error.message.split("\n")[0];
  }
}, 300_000);

afterAll(() => installed?.[Symbol.dispose]());

function projectOf(context: TestContext): PackageProject {
  return installed ?? context.skip(`npm has the dependencies neither in its cache nor from a registry (${noRegistry})`);
}

describe("the tarball", () => {
  test("holds what runs, its types, and what people read, and nothing of the checkout", (context) => {
    const { files } = projectOf(context).tarball;
    const paths = files.map(({ path }) => path);
    for (const path of [
      "LICENSE",
      "README.md",
      "CHANGELOG.md",
      "bin/signalbox.mjs",
      "dist/THIRD-PARTY-NOTICES.txt",
      "dist/src/main.js",
      "dist/src/index.js",
      "dist/src/index.d.ts",
      "dist/src/sdk/index.d.ts",
      "dist/src/sdk/testing.d.ts",
      "dist/processors/worker_identity/processor.js",
      "collector/local.yaml",
      "collector/gateway.yaml",
      "collector/compose.yaml",
    ]) {
      expect(paths).toContain(path);
    }
    const strangers = paths.filter((path) => !/^(bin|dist|collector)\/|^[A-Z]+(\.md)?$|^package\.json$/.test(path));
    expect(strangers).toEqual([]);
    expect(paths.filter((path) => /\.test\.|^tools\/|node_modules\/|\.tgz$|\.tsbuildinfo$/.test(path))).toEqual([]);
    expect(paths.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))).toEqual([]);
  });

  test("has no source map that leads to nowhere", (context) => {
    const { packageFolder, tarball } = projectOf(context);
    for (const { path } of tarball.files.filter((file) => file.path.endsWith(".map"))) {
      const { sources, sourcesContent = [] } = JSON.parse(readFileSync(join(packageFolder, path), "utf8")) as {
        sources: string[];
        sourcesContent?: (string | null)[];
      };
      const lost = sources.filter(
        (source, index) =>
          typeof sourcesContent[index] !== "string" && !existsSync(join(packageFolder, path, "..", source)),
      );
      expect(lost, path).toEqual([]);
    }
    for (const { path } of tarball.files.filter((file) => /\.(js|d\.ts)$/.test(file.path))) {
      const map = /\/\/# sourceMappingURL=(.*)$/m.exec(readFileSync(join(packageFolder, path), "utf8"))?.[1];
      if (map !== undefined) expect(existsSync(join(packageFolder, path, "..", map)), `${path}: ${map}`).toBe(true);
    }
  });

  test("names the licence of every package that is in the bundle", (context) => {
    const { packageFolder, tarball } = projectOf(context);
    const notices = readFileSync(join(packageFolder, "dist/THIRD-PARTY-NOTICES.txt"), "utf8");
    const maps = tarball.files.filter(({ path }) => path.endsWith(".js.map"));
    const bundled = new Set(maps.flatMap(({ path }) => packagesIn(readFileSync(join(packageFolder, path), "utf8"))));
    expect(bundled.size).toBeGreaterThan(2);
    for (const name of bundled)
      expect(
        notices.split("\n").some((line) => line.startsWith(`${name} `)),
        name,
      ).toBe(true);
  });

  test("is small: 3 MiB packed, and brings no Node of its own", async (context) => {
    const project = projectOf(context);
    expect(project.tarball.size).toBeLessThan(3 * MIB);
    const listed = await project.run("npm", "ls", "--all", "--parseable");
    expect(listed).not.toMatch(/node_modules\/node(-bin|-linux)?[^/]*$/m);
    expect(existsSync(join(project.folder, "node_modules/.bin/node"))).toBe(false);
  });
});

/** The packages whose sources a map names. */
function packagesIn(map: string): string[] {
  const { sources } = JSON.parse(map) as { sources: string[] };
  return sources.flatMap((source) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(source)?.[1] ?? []);
}

const STAMP = `import { defineProcessor, z } from "signalbox/sdk";

interface Stamp {
  readonly key: string;
}

export const stamp = defineProcessor({
  type: "stamp",
  config: z.object({ value: z.string().default("none") }),
  logs(batch, ctx) {
    const { key }: Stamp = { key: "stamped.by" };
    for (const record of batch) record.attributes.set(key, ctx.config.value);
  },
});
`;

function gatewayYaml(backend: string): string {
  return `
receivers: { otlp: { protocols: { http: { endpoint: "127.0.0.1:0" } } } }
processors: { stamp: { value: "a user" }, worker_identity: }
exporters: { otlp_http: { endpoint: "${backend}", compression: none } }
signalbox: { processors: [processors] }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], processors: [worker_identity, stamp], exporters: [otlp_http] } }
`;
}

const LOGS = JSON.stringify({
  resourceLogs: [
    {
      resource: {
        attributes: [
          { key: "machine.id", value: { stringValue: "m1" } },
          { key: "worker.id", value: { stringValue: "w1" } },
        ],
      },
      scopeLogs: [{ logRecords: [{ body: { stringValue: "hello" } }] }],
    },
  ],
});

function postLogs(url: string): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${url}/v1/logs`, { method: "POST", headers, body: LOGS });
}

/** A user's test; whether it passes is up to `edit`. */
function contractTest(edit: string): string {
  return `import { test } from "node:test";
import { defineProcessor } from "signalbox/sdk";
import { contractOf } from "signalbox/sdk/testing";

const mine = defineProcessor({
  type: "mine",
  logs(batch) {
    for (const record of batch) ${edit};
  },
});

for (const { name, check } of contractOf(mine, { idempotent: true })) test(name, check);
`;
}

describe("installed into an empty project", () => {
  test("tries a user's processor on the contract under node:test, and finds the broken promise", async (context) => {
    const project = projectOf(context);
    project.write("kept.test.ts", contractTest('record.attributes.set("mine", true)'));
    const kept = await project.run("node", "--test", "--test-reporter=tap", "kept.test.ts");
    expect(Number(/^# pass (\d+)$/m.exec(kept)?.[1])).toBeGreaterThan(10);
    expect(kept).toMatch(/^# fail 0$/m);
    project.write("broken.test.ts", contractTest("record.drop()"));
    const broken = project.run("node", "--test", "--test-reporter=tap", "broken.test.ts");
    await expect(broken).rejects.toThrow(/^not ok \d+ - hands on every record$[^]*^# fail 1$/m);
  }, 60_000);

  test("tells its version", async (context) => {
    const project = projectOf(context);
    expect(await project.run("npx", "signalbox", "--version")).toBe(`signalbox ${readPackageJson(checkout).version}\n`);
  });

  test("runs with a processor of the user's in TypeScript, and stops with 0 on SIGTERM", async (context) => {
    const project = projectOf(context);
    const backend = await HttpBackend.listen();
    project.write("processors/stamp.ts", STAMP);
    project.write("gateway.yaml", gatewayYaml(backend.url));
    // What npx starts; npx itself would stand between it and the signal.
    const command = join(project.folder, "node_modules/.bin/signalbox");
    await using gateway = new TestProcess(command, ["run", "--config", "gateway.yaml"], {
      cwd: project.folder,
      env: { ...plainEnv(), NODE_OPTIONS: "", NODE_PATH: "" },
    });
    const url = await gateway.until((stdout) => /OTLP\/HTTP\s+(http:\S+)/.exec(stdout)?.[1]);
    expect((await postLogs(url)).status).toBe(200);
    expect(await gateway.stop("SIGTERM")).toBe(0);
    const request = JSON.stringify(decodeReference("logs", backend.posts[0]!.body));
    expect(request).toContain("machine-m1.w1");
    expect(request).toContain('"stamped.by","value":{"stringValue":"a user"}');
    await backend.close();
  });

  test("is imported as a library from JavaScript", async (context) => {
    const project = projectOf(context);
    project.write(
      "library.js",
      `import { startGateway } from "signalbox";
import { attributesOf } from "signalbox/sdk/testing";
const text = ${JSON.stringify(gatewayYaml("http://127.0.0.1:1").replaceAll("stamp", "worker_identity/2").replace("signalbox: { processors: [processors] }", "").replace('{ value: "a user" }', ""))};
const gateway = await startGateway({ configuration: { name: "gateway.yaml", text } });
console.log(gateway.listening.map(({ what }) => what).join(), typeof attributesOf);
await gateway.shutdown();
`,
    );
    expect(await project.run(process.execPath, "library.js")).toBe("OTLP/HTTP function\n");
  });

  test("gives types that the compiler takes, libraries checked", async (context) => {
    const project = projectOf(context);
    project.write(
      "consumer.ts",
      `import { ConfigurationError, startGateway, type Gateway, type Logger } from "signalbox";
import { defineProcessor, z } from "signalbox/sdk";
import { contractOf, runProcessor, attributesOf, type ContractCheck, type LogsJson } from "signalbox/sdk/testing";

const logger: Logger = { debug() {}, info() {}, warn() {}, error() {}, with: () => logger };
export const open = (text: string): Promise<Gateway> => startGateway({ configuration: { name: "g.yaml", text }, logger });
export const isBad = (thrown: unknown): boolean => thrown instanceof ConfigurationError && thrown.problems.length > 0;

export const hide = defineProcessor({
  type: "hide",
  config: z.object({ key: z.string() }),
  logs(batch, ctx) {
    for (const record of batch) record.attributes.delete(ctx.config.key);
  },
});

export async function hidden(logs: LogsJson): Promise<LogsJson> {
  return runProcessor(hide, { config: { key: "token" }, logs });
}
export { attributesOf };

export const checks: readonly ContractCheck[] = contractOf(hide, { config: { key: "token" }, idempotent: true });

// @ts-expect-error a typing mistake is found
hide.typo();
`,
    );
    const tsc = join(checkout, "node_modules/.bin/tsc");
    const types = ["--types", "node", "--typeRoots", join(checkout, "node_modules/@types")];
    const flags = ["--noEmit", "--strict", "--skipLibCheck", "false", "--exactOptionalPropertyTypes"];
    const modes = ["--module", "nodenext", "--target", "es2024", "--lib", "es2024,esnext.disposable"];
    await expect(project.run(tsc, ...flags, ...modes, ...types, "consumer.ts")).resolves.toBe("");
  }, 120_000);
});
