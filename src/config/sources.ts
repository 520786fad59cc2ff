import type { SourceFile } from "./line-table.ts";
import { didYouMean } from "./nearest.ts";
import { quote } from "./problem.ts";
import { schemeNames } from "./schemes.ts";
import type { Environment, ReadText } from "./schemes.ts";

/**
 * What `--config` and `--set` name, with the Collector's grammar:
 *
 *   gateway.yaml   file:gateway.yaml   env:NAME   yaml:processors::batch::timeout: 2s      --set processors.batch.timeout=2s
 */
export interface SourceSettings {
  readonly configs: readonly string[];
  /** Laid over all of `configs`, whatever their order on the command line. */
  readonly sets: readonly string[];
  readonly env: Environment;
  readonly readText: ReadText;
}

export interface Sources {
  readonly files: readonly SourceFile[];
  /** Each begins with the argument that is wrong; no values in them. */
  readonly problems: readonly string[];
}

type Source = SourceFile | { readonly problem: string };

export function readSources(settings: SourceSettings): Sources {
  const sources = [
    ...settings.configs.map((location) => readLocation(location, settings)),
    ...settings.sets.map(readSet),
  ];
  return {
    files: sources.filter((source): source is SourceFile => "text" in source),
    problems: sources.flatMap((source) => ("problem" in source ? [source.problem] : [])),
  };
}

// A drive letter is no scheme, as in the Collector.
const LOCATION = /^([A-Za-z][A-Za-z0-9+.-]+):([^]*)$/;

function readLocation(location: string, { env, readText }: SourceSettings): Source {
  const [, scheme = "file", rest = location] = LOCATION.exec(location) ?? [];
  switch (scheme) {
    case "file":
      return readFile(rest, readText);
    case "env":
      return { name: `env:${rest}`, text: (Object.hasOwn(env, rest) ? env[rest] : undefined) ?? "" };
    case "yaml":
      return { name: "--config yaml", text: rest };
    default: {
      const fix = didYouMean(scheme, schemeNames()) ?? "a file whose name has a colon is written as file:NAME";
      return {
        problem: `--config: unsupported scheme ${quote(scheme)}, expected ${schemeNames().join(", ")}\n  ${fix}`,
      };
    }
  }
}

function readFile(name: string, readText: ReadText): Source {
  const read = readText(name);
  return "text" in read ? { name, text: read.text } : { problem: `--config ${name}: ${read.problem}` };
}

/** A dot in the key is a step down; the value is YAML. */
function readSet(argument: string): Source {
  const equals = argument.indexOf("=");
  if (equals < 0) {
    return { problem: `--set ${quote(argument)}: missing equal sign\n  write it as --set processors.batch.timeout=2s` };
  }
  const key = argument.slice(0, equals).trim();
  const text = `${key.replaceAll(".", "::")}: ${argument.slice(equals + 1).trim()}`;
  return { name: `--set ${key}`, text, isArgument: true };
}
