import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { loadConfiguration } from "../../src/config/load.ts";
import { loadGateway } from "../../src/service/load.ts";
import { TEST_LOOKUP } from "./test-factories.ts";

function told(text: string): string[] {
  const result = loadConfiguration({ files: [{ name: "x.yaml", text }], env: {}, factories: TEST_LOOKUP });
  return result.ok ? [] : result.problems.map(({ path }) => path);
}

describe("what follows from a problem is not reported beside it", () => {
  it("of a section whose name is mistyped", () => {
    const pipelines = "service: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}";
    expect(told(`recievers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\n${pipelines}`)).toEqual(["recievers"]);
  });

  it("of a pipeline whose signal is unknown", () => {
    const text = "receivers: {otlp: {protocols: {grpc: }}}\nexporters: {debug: }\nservice: {pipelines: {foo: }}";
    expect(told(text)).toEqual(["service.pipelines.foo"]);
  });

  it("of a processor whose file did not load", async () => {
    const folder = await mkdtemp(join(tmpdir(), "signalbox-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, "thr.ts"), "throw new Error('boom');\n");
    const text = `receivers: {otlp: {protocols: {grpc: }}}
processors: {thr: }
exporters: {debug: }
service: {pipelines: {logs: {receivers: [otlp], processors: [thr], exporters: [debug]}}}`;
    const loaded = await loadGateway({ files: [{ name: "x.yaml", text }], env: {}, processorFolders: [folder] });
    expect(loaded.ok ? [] : loaded.problems.map(({ message }) => message)).toEqual([expect.stringContaining("boom")]);
  });
});
