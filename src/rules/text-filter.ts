import { compilePattern } from "./pattern.ts";

/** Answers remembered by text, so that what repeats from record to record is matched once. */
export class AnswerCache {
  readonly #answers = new Map<string, boolean>();
  readonly #entriesMax: number;
  readonly #ask: (text: string) => boolean;

  constructor(entriesMax: number, ask: (text: string) => boolean) {
    this.#entriesMax = entriesMax;
    this.#ask = ask;
  }

  answer(text: string): boolean {
    const known = this.#answers.get(text);
    if (known !== undefined) return known;
    const answer = this.#ask(text);
    if (text.length <= CACHED_LENGTH_MAX) this.#keep(text, answer);
    return answer;
  }

  /** The oldest makes room: what repeats is back with its next question. */
  #keep(text: string, answer: boolean): void {
    if (this.#answers.size >= this.#entriesMax) this.#answers.delete(this.#answers.keys().next().value ?? "");
    this.#answers.set(text, answer);
  }
}

/** A cache of long texts is a leak; what repeats is names and short messages. */
const CACHED_LENGTH_MAX = 256;

/** The Collector's cache without a size grows without end; ours stops here. */
export const CACHE_ENTRIES_MAX = 10_000;

export interface TextFilterSettings {
  readonly matchType: "strict" | "regexp";
  /** Remembered answers; 0 for none. Regular expressions only. */
  readonly cacheEntries: number;
}

/** True where a text equals one of `texts`, or any part of it matches one of them as a pattern. Throws PatternError. */
export function textFilter(texts: readonly string[], settings: TextFilterSettings): (text: string) => boolean {
  if (settings.matchType === "strict") {
    const wanted = new Set(texts);
    return (text) => wanted.has(text);
  }
  const patterns = [...new Set(texts)].map((text) => compilePattern(text));
  const [first] = patterns;
  const matches =
    patterns.length === 1 && first !== undefined
      ? (text: string) => first.test(text)
      : (text: string) => patterns.some((pattern) => pattern.test(text));
  if (settings.cacheEntries === 0) return matches;
  const cache = new AnswerCache(Math.min(settings.cacheEntries, CACHE_ENTRIES_MAX), matches);
  return (text) => cache.answer(text);
}
