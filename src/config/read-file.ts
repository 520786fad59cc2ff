import { closeSync, openSync, readSync } from "node:fs";
import type { ReadText } from "./schemes.ts";
import { FILE_BYTES_MAX } from "./yaml.ts";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a folder, expected a file",
};

const CHUNK_BYTES = 64 * 1024;

/**
 * The only place where loading a configuration touches the file system. Sizes are counted while reading, since a pipe
 * (`--config <(...)`) or a device does not say how much it will give.
 */
export const readTextFile: ReadText = (path) => {
  try {
    const bytes = readBounded(path);
    if (bytes === undefined) return { problem: `it has more than ${FILE_BYTES_MAX} bytes` };
    return { text: bytes.toString("utf8") };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return { problem: REASONS[code] ?? (code === "" ? "it is not a path" : code) };
  }
};

/** undefined beyond the limit. */
function readBounded(path: string): Buffer | undefined {
  const descriptor = openSync(path, "r");
  try {
    const chunks: Buffer[] = [];
    for (let total = 0; total <= FILE_BYTES_MAX;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const size = readSync(descriptor, chunk);
      if (size === 0) return Buffer.concat(chunks);
      chunks.push(chunk.subarray(0, size));
      total += size;
    }
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}
