import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const checkout = fileURLToPath(new URL("../..", import.meta.url));

interface PackedFile {
  readonly path: string;
  readonly size: number;
}

export interface Tarball {
  readonly file: string;
  readonly files: readonly PackedFile[];
  /** Packed, in bytes. */
  readonly size: number;
}

/** npm could not be asked for the package's dependencies: no fault of the package. */
export class NoRegistryError extends Error {
  override readonly name = "NoRegistryError";
}

/** The package as it would be published, installed into an empty project that knows nothing of the checkout. */
export class PackageProject implements Disposable {
  readonly tarball: Tarball;
  readonly folder: string;
  readonly #root: string;

  private constructor(root: string, tarball: Tarball) {
    this.#root = root;
    this.tarball = tarball;
    this.folder = join(root, "project");
  }

  /** Builds in a copy of the tree, so that a checkout's dist/ stays what it is. Some twenty seconds. */
  static async install(): Promise<PackageProject> {
    const root = mkdtempSync(join(tmpdir(), "signalbox-package-"));
    const project = new PackageProject(root, await pack(join(root, "tree")));
    project.write("package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }));
    await installTarball(project.folder, project.tarball.file);
    return project;
  }

  /** Where the installed package lies. */
  get packageFolder(): string {
    return join(this.folder, "node_modules", "signalbox");
  }

  write(path: string, text: string): string {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  /** Runs a command in the project; rejects with its output where it does not exit with 0. */
  run(command: string, ...args: readonly string[]): Promise<string> {
    return runIn(this.folder, command, args);
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

// How to reach the registry stays; what else npm and vitest tell their children leads back into the checkout.
const CHECKOUT_ONLY =
  /^(npm_(?!config_(registry|cache|ca|cafile|proxy|https_proxy|noproxy|strict_ssl|userconfig)$)|NODE_(?!EXTRA_CA_CERTS$)|VITEST)/i;

/** The environment of a user's shell, whose `node` is the one that runs the tests. */
export function plainEnv(): Record<string, string> {
  const env: Record<string, string> = { npm_config_update_notifier: "false" };
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !CHECKOUT_ONLY.test(name)) env[name] = value;
  }
  return { ...env, PATH: `${dirname(process.execPath)}:${env["PATH"] ?? ""}` };
}

export async function runIn(folder: string, command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { cwd: folder, env: plainEnv(), maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`, { cause: error });
  }
}

async function pack(tree: string): Promise<Tarball> {
  copyTree(tree);
  await runIn(tree, process.execPath, ["tools/build.ts"]);
  const [packed] = JSON.parse(await runIn(tree, "npm", ["pack", "--json", "--ignore-scripts"])) as [
    { filename: string; files: PackedFile[]; size: number },
  ];
  return { file: join(tree, packed.filename), files: packed.files, size: packed.size };
}

/** Every file that git knows, or would. */
export function copyTree(to: string): void {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: checkout });
  for (const path of listed.toString().split("\n")) {
    if (path === "" || !existsSync(join(checkout, path))) continue;
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(checkout, path), join(to, path));
  }
  symlinkSync(join(checkout, "node_modules"), join(to, "node_modules"));
}

// From npm's cache where it can, as after `npm ci`; else from the registry.
const INSTALLS = [["--offline"], ["--prefer-offline"]];
export const NETWORK_ERROR = /ENOTCACHED|ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|network/;

async function installTarball(folder: string, tarball: string): Promise<void> {
  const errors: string[] = [];
  for (const more of INSTALLS) {
    try {
      await runIn(folder, "npm", ["install", "--no-audit", "--no-fund", ...more, tarball]);
      return;
    } catch (error) {
      errors.push(String(error));
    }
  }
  const last = errors.at(-1)!;
  if (NETWORK_ERROR.test(last)) throw new NoRegistryError(last);
  throw new Error(last);
}

export function readPackageJson(folder: string): { readonly version: string; readonly [key: string]: unknown } {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
}
