/** As much of the Dockerfile's language as ours uses; a line that is none of it fails the test that reads it. */

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

export interface BuildStage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

export function parseDockerfile(text: string): readonly BuildStage[] {
  const stages: { name: string; base: string; instructions: Instruction[] }[] = [];
  for (const line of logicalLines(text)) {
    const [, name = "", rest = ""] = /^([A-Z]+)\s+(.+)$/s.exec(line) ?? [];
    if (name === "") throw new Error(`no instruction: ${line}`);
    const from = /^(\S+)\s+AS\s+(\S+)$/.exec(rest);
    if (name === "FROM") {
      if (from === null) throw new Error(`a stage without a name: ${line}`);
      stages.push({ base: from[1]!, name: from[2]!, instructions: [] });
    } else {
      stages.at(-1)!.instructions.push({ name, text: rest });
    }
  }
  return stages;
}

function logicalLines(text: string): string[] {
  const withoutComments = text.split("\n").filter((line) => !/^\s*(#|$)/.test(line));
  return withoutComments
    .join("\n")
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n");
}

export interface Copy {
  /** A stage of the same file, or undefined for the checkout. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

export function copiesOf({ instructions }: BuildStage): readonly Copy[] {
  return instructions
    .filter(({ name }) => name === "COPY" || name === "ADD")
    .map(({ text }) => {
      const words = text.split(/\s+/);
      const flags = words.filter((word) => word.startsWith("--"));
      const paths = words.filter((word) => !word.startsWith("--"));
      const from = flags.find((flag) => flag.startsWith("--from="))?.slice("--from=".length);
      return { from, sources: paths.slice(0, -1), target: paths.at(-1)! };
    });
}

/** What .dockerignore keeps out of the build; knows `*`, names, folders and `!`, in order, the last that fits decides. */
export function isIgnored(path: string, dockerignore: string): boolean {
  const rules = dockerignore.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return rules.reduce((ignored, rule) => {
    const isException = rule.startsWith("!");
    const pattern = isException ? rule.slice(1) : rule;
    if (/[*?[]/.test(pattern) && pattern !== "*") throw new Error(`a pattern that this test does not know: ${rule}`);
    const fits = pattern === "*" || path === pattern || path.startsWith(`${pattern}/`);
    return fits ? !isException : ignored;
  }, false);
}
