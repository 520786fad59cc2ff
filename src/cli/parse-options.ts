import { parseArgs } from "node:util";
import type { ParseArgsConfig } from "node:util";
import { closestName } from "../core/closest-name.ts";

/** parseArgs, whose word for an unknown option is followed by the one that was meant. Its errors are for people. */
export function parseOptions<T extends ParseArgsConfig & { readonly args: string[] }>(
  config: T,
): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    const known = Object.keys(config.options ?? {});
    const hint = optionHint(config, known);
    if (hint === undefined) throw error;
    const message = error instanceof Error ? error.message.split(".")[0] : String(error);
    throw new TypeError(`${message}\n  ${hint}`, { cause: error });
  }
}

/** About the first option that there is not. */
function optionHint(config: ParseArgsConfig, known: readonly string[]): string | undefined {
  const { tokens } = parseArgs({ ...config, strict: false, tokens: true });
  const unknown = tokens.find((token) => token.kind === "option" && !known.includes(token.name));
  if (unknown?.kind !== "option") return undefined;
  const nearest = closestName(unknown.name, known);
  return nearest === undefined
    ? `the options are ${known.map((name) => `--${name}`).join(", ")}`
    : `did you mean --${nearest}?`;
}
