import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { answerApi } from "../store/api-routes.ts";
import { formatQueryError } from "../store/query-error.ts";
import { StoreReader } from "../store/store-reader.ts";
import type { CliIo } from "./io.ts";
import { UsageError } from "./store-options.ts";
import type { StoreOptions } from "./store-options.ts";
import { visibleText } from "./terminal-text.ts";

const URL_DEFAULT = "http://127.0.0.1:4319";
/** A person waits, and nobody else does: longer than the gateway allows a question. */
const BUDGET_MS = 60_000;

/** The store could not be asked, or refused; the message is for the person who asked. */
export class StoreUnreachable extends Error {
  override readonly name = "StoreUnreachable";
}

/** The question was wrong: exit code 2. */
export class BadQuestion extends Error {
  override readonly name = "BadQuestion";
}

interface Answered {
  readonly status: number;
  readonly text: string;
}

/**
 * Asks the running gateway or, where none listens at the default address, reads its folder. An address or a folder that
 * was named is never replaced by the other.
 */
export class StoreClient {
  readonly #options: StoreOptions;
  readonly #io: CliIo;
  readonly #urlDefault: string;
  #reader: StoreReader | undefined;

  constructor(options: StoreOptions, io: CliIo, urlDefault: string = URL_DEFAULT) {
    if (options.isFolderGiven && options.isUrlGiven)
      throw new UsageError("--url and --data name two stores; leave one out");
    this.#options = options;
    this.#io = io;
    this.#urlDefault = urlDefault;
  }

  /** The JSON of the answer; undefined where there is nothing (404), with the reason on stderr. `query` is for the caret. */
  async ask<T>(path: string, params: Readonly<Record<string, string>> = {}): Promise<T | undefined> {
    const search = new URLSearchParams(params).toString();
    const { status, text } = await this.#answer(path, search);
    const json = parseAnswer(text);
    if (status === 200) {
      this.#sayWarnings(json);
      return json as T;
    }
    const message = formatQueryError(params["q"] ?? "", readError(json, status));
    if (status === 400) throw new BadQuestion(message);
    if (status !== 404) throw new StoreUnreachable(message);
    this.#io.stderr(`${message}\n`);
    return undefined;
  }

  close(): void {
    this.#reader?.close();
  }

  async #answer(path: string, search: string): Promise<Answered> {
    if (this.#reader !== undefined || this.#options.isFolderGiven) return this.#readFolder(path, search);
    try {
      return await this.#fetch(path, search);
    } catch (error) {
      if (error instanceof UsageError || this.#options.url !== undefined) throw error;
      this.#reader = this.#openFolder();
      this.#io.stderr(
        `no gateway listens at ${this.#urlDefault}: reading the folder ${resolve(this.#options.directory)}\n`,
      );
      return this.#readFolder(path, search);
    }
  }

  async #fetch(path: string, search: string): Promise<Answered> {
    const { url = this.#urlDefault, token } = this.#options;
    if (!URL.canParse(url)) throw new UsageError(`"${url}" is no URL; write ${URL_DEFAULT}`);
    const target = new URL(`${path}?${search}`, url);
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    try {
      const response = await fetch(target, { headers, redirect: "error", signal: AbortSignal.timeout(BUDGET_MS) });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      throw new StoreUnreachable(
        `nothing answers at ${url}: ${reason(error)}\n  start the gateway, or leave --url out to read its folder`,
        { cause: error },
      );
    }
  }

  #openFolder(): StoreReader {
    const { directory, isFolderGiven } = this.#options;
    if (existsSync(directory)) return new StoreReader(directory, () => performance.now());
    const nobody = isFolderGiven ? "" : `no gateway listens at ${this.#urlDefault}, and `;
    throw new StoreUnreachable(
      `${nobody}there is no store in ${resolve(directory)}\n  start one with: signalbox run, or name another with --url or --data`,
    );
  }

  #readFolder(path: string, search: string): Answered {
    this.#reader ??= this.#openFolder();
    const answer = answerApi(this.#reader, { path, search, nowMs: Date.now(), budgetMs: BUDGET_MS });
    return { status: answer.status, text: new TextDecoder().decode(answer.body) };
  }

  #sayWarnings(json: unknown): void {
    const warnings = memberOf(json, "warnings");
    if (Array.isArray(warnings))
      for (const warning of warnings) this.#io.stderr(`warning: ${visibleText(String(warning))}\n`);
  }
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StoreUnreachable(
      "the answer is not the store's: something else listens there\n  name the store's address with --url",
      { cause: error },
    );
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function readError(
  json: unknown,
  status: number,
): { message: string; position?: number; length?: number; fix?: string } {
  const error = memberOf(json, "error");
  const [message, fix] = [memberOf(error, "message"), memberOf(error, "fix")];
  const [position, length] = [memberOf(error, "position"), memberOf(error, "length")];
  return {
    message: typeof message === "string" ? visibleText(message) : `the store answered ${status}`,
    ...(typeof fix === "string" && { fix: visibleText(fix) }),
    ...(typeof position === "number" && { position }),
    ...(typeof length === "number" && { length }),
  };
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}
