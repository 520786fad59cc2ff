import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Why TLS tests cannot run here; undefined where they can. */
export const NO_OPENSSL = findOpenssl();

function findOpenssl(): string | undefined {
  try {
    execFileSync("openssl", ["version"]);
    return undefined;
  } catch (error) {
    return `openssl is not on this machine (${String(error)})`;
  }
}

export interface KeyPair {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority made for one test run, in `folder`: nothing secret lies in the repository, nothing expires there. */
export class TestCa {
  readonly folder: string;
  readonly pair: KeyPair;

  constructor(folder: string, name = "ca") {
    this.folder = folder;
    this.pair = pairOf(folder, name);
    openssl(
      "req",
      "-x509",
      ...NEW_KEY,
      "-keyout",
      this.pair.keyFile,
      "-out",
      this.pair.certFile,
      "-subj",
      `/CN=${name}`,
    );
    this.pair = readPair(folder, name);
  }

  /** `altNames` as openssl takes them: `DNS:localhost,IP:127.0.0.1`. */
  issue(name: string, altNames: string): KeyPair {
    const { certFile, keyFile } = pairOf(this.folder, name);
    const request = join(this.folder, `${name}.csr`);
    const extensions = join(this.folder, `${name}.ext`);
    writeFileSync(extensions, `subjectAltName=${altNames}\n`);
    openssl("req", ...NEW_KEY, "-keyout", keyFile, "-out", request, "-subj", `/CN=${name}`);
    const authority = ["-CA", this.pair.certFile, "-CAkey", this.pair.keyFile, "-CAcreateserial"];
    openssl("x509", "-req", "-in", request, ...authority, "-out", certFile, "-days", "2", "-extfile", extensions);
    return readPair(this.folder, name);
  }
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];

function openssl(...parameters: string[]): void {
  execFileSync("openssl", parameters, { stdio: "pipe" });
}

function pairOf(folder: string, name: string): KeyPair {
  return { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`), cert: "", key: "" };
}

function readPair(folder: string, name: string): KeyPair {
  const pair = pairOf(folder, name);
  return { ...pair, cert: readFileSync(pair.certFile, "utf8"), key: readFileSync(pair.keyFile, "utf8") };
}
