import { readFile } from "node:fs/promises";

/**
 * The text of a PEM file, or the text itself where the YAML holds it; undefined where it has neither. `key` is the
 * setting that names the file, `tls.cert_file`. Rejects with an error that names the key and the file, never with a
 * key's text.
 */
export async function loadPem(
  key: string,
  path: string | undefined,
  pem: string | undefined,
): Promise<string | undefined> {
  const text = path === undefined ? pem : await readPemFile(key, path);
  // Node takes a file without any PEM block for an empty list of authorities, and every connection then fails.
  if (text !== undefined && !text.includes("-----BEGIN ")) {
    const where = path === undefined ? key.replace("_file", "_pem") : `${key} ${path}`;
    throw new Error(
      `${where}: holds no PEM block\n  write a file that has lines such as "-----BEGIN CERTIFICATE-----"`,
    );
  }
  return text;
}

async function readPemFile(key: string, path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Error(`${key} ${path}: cannot be read (${code})\n  check the path and who may read it`, { cause: error });
  }
}
