/**
 * `npm run build`: the package as it is published, in dist/.
 *
 * JavaScript is bundled: what is loaded by its own name stays an entry at its old path, everything else is shared in
 * chunks, so that a start reads a dozen files instead of 500. Measured idle, OTLP in and out: 97 MiB as single files,
 * 93 with only our own files bundled, 84 with zod, yaml and protobufjs in the bundle too; @grpc/grpc-js gains nothing
 * and stays outside. Types are the compiler's, file by file.
 */
import { execFileSync } from "node:child_process";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

const entries = [
  "src/main",
  "src/index",
  "src/sdk/index",
  "src/sdk/testing",
  "src/service/import-watchdog-thread",
  "src/service/processor-trial-process",
  "src/store/writer-thread",
  "src/store/reader-thread",
];
const processors = globSync("processors/*/processor.ts", { cwd: root }).map((path) => path.slice(0, -".ts".length));

rmSync(dist, { recursive: true, force: true });
/** `z.locales` is a module that imports every language; what the gateway says is English. */
const englishOnly: Plugin = {
  name: "zod-in-english",
  resolveId: (specifier, importer) =>
    specifier === "../locales/index.js" && importer?.includes("/zod/") === true
      ? join(dirname(importer), "../locales/en-only.js")
      : undefined,
  load: (id) => (id.endsWith("/zod/v4/locales/en-only.js") ? 'export { default as en } from "./en.js";' : undefined),
};

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries([...entries, ...processors].map((entry) => [entry, `${entry}.ts`])),
  platform: "node",
  // `signalbox/sdk` in a processor is the package itself, at run time as well.
  external: [/^node:/, /^signalbox\//, "@grpc/grpc-js"],
  plugins: [englishOnly],
});
const { output } = await bundle.write({
  dir: dist,
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "src/chunks/[name]-[hash].js",
  sourcemap: true,
});
await bundle.close();
writeFileSync(
  join(dist, "THIRD-PARTY-NOTICES.txt"),
  noticesOf(output.flatMap((part) => (part.type === "chunk" ? part.moduleIds : []))),
);

// The benchmark runs what is built and reads no types.
if (!process.argv.includes("--no-types")) {
  execFileSync(join(root, "node_modules/.bin/tsc"), ["--project", "tsconfig.build.json"], {
    cwd: root,
    stdio: "inherit",
  });
}

/** The licences of the packages whose code is in the bundle, as they ask for. */
function noticesOf(moduleIds: readonly string[]): string {
  const folders = moduleIds.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? []);
  const notices = [...new Set(folders)].toSorted().map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      name: string;
      version: string;
    };
    const [file] = globSync("LICENSE*", { cwd: folder });
    if (file === undefined) throw new Error(`${name} is in the bundle and has no LICENSE file to hand on`);
    return `${name} ${version}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return notices.join(`\n${"-".repeat(80)}\n\n`);
}
