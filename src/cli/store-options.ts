import type { parseArgs } from "node:util";
import type { CliIo } from "./io.ts";
import { parseOptions } from "./parse-options.ts";

/** Lines beyond this are read by a program, which takes pages of the API. */
export const LINES_MAX = 100_000;

/** Where to ask, common to all commands that read the store. */
export interface StoreOptions {
  /** As given; undefined for the default address, which may fall back to the folder. */
  readonly url: string | undefined;
  readonly isUrlGiven: boolean;
  readonly token: string | undefined;
  /** The folder to read where no gateway listens. */
  readonly directory: string;
  /** --data was given, and --url was not: that folder is meant, whatever gateway runs on this machine. */
  readonly isFolderMeant: boolean;
  /** The folder was named on the command line: it is read, and no gateway is asked. */
  readonly isFolderGiven: boolean;
  readonly isJson: boolean;
  /** Bodies are not cut to the width. */
  readonly isFull: boolean;
  /** Option values of the command's own, by name. */
  readonly own: Readonly<Record<string, string | undefined>>;
  readonly words: readonly string[];
}

/** The command line is wrong; the message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const STORE_USAGE = `  --url URL      the gateway's store; default: $SIGNALBOX_URL, else http://127.0.0.1:4319
  --data DIR     read this folder instead of asking a gateway
                 where no gateway runs, $SIGNALBOX_DATA is read, else .signalbox
  --json         JSON instead of text
  --full         do not cut long texts
  The token of a store that asks for one is read from $SIGNALBOX_TOKEN.`;

export function parseStoreOptions(args: readonly string[], ownNames: readonly string[], io: CliIo): StoreOptions {
  const { values, positionals } = parse(args, ownNames);
  const text = (name: string): string | undefined => (typeof values[name] === "string" ? values[name] : undefined);
  return {
    url: text("url") ?? (io.env["SIGNALBOX_URL"] || undefined),
    isUrlGiven: text("url") !== undefined,
    token: io.env["SIGNALBOX_TOKEN"] || undefined,
    isFolderGiven: text("data") !== undefined,
    isFolderMeant: text("data") !== undefined && text("url") === undefined,
    directory: text("data") ?? (io.env["SIGNALBOX_DATA"] || ".signalbox"),
    isJson: values["json"] === true,
    isFull: values["full"] === true,
    own: Object.fromEntries(ownNames.map((name) => [name, text(name)])),
    words: positionals,
  };
}

function parse(args: readonly string[], ownNames: readonly string[]): ReturnType<typeof parseArgs> {
  const own = Object.fromEntries(ownNames.map((name) => [name, { type: "string" as const }]));
  try {
    return parseOptions({
      args: [...args],
      options: {
        ...own,
        url: { type: "string" },
        data: { type: "string" },
        json: { type: "boolean" },
        full: { type: "boolean" },
      },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** The one id that a command is about. */
export function oneWord(options: StoreOptions, what: string): string {
  const [word, ...more] = options.words;
  if (word === undefined) throw new UsageError(`${what} is missing`);
  if (more.length > 0) throw new UsageError(`only one ${what} at a time, found ${options.words.length}`);
  return word;
}
