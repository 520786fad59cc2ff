import type { ComponentKind } from "../../src/core/component-id.ts";
import { COMPONENT_CASES } from "./component-cases.ts";
import type { ComponentCase, ContractPromise } from "./contract.ts";
import { EXPORTER_PROMISES } from "./exporter-promises.ts";
import { EXTENSION_PROMISES } from "./extension-promises.ts";
import { PROCESSOR_PROMISES } from "./processor-promises.ts";
import { RECEIVER_PROMISES } from "./receiver-promises.ts";

/** Component by promise, from the same lists that the tests are made of; `npm run docs` puts it into README.md. */
export function contractTables(): string {
  return [
    tableOf("receiver", RECEIVER_PROMISES),
    tableOf("processor", PROCESSOR_PROMISES),
    tableOf("exporter", EXPORTER_PROMISES),
    tableOf("extension", EXTENSION_PROMISES),
  ].join("\n");
}

function tableOf<K extends ComponentCase["kind"]>(
  kind: K & ComponentKind,
  promises: readonly ContractPromise<Extract<ComponentCase, { kind: K }>>[],
): string {
  const cases = COMPONENT_CASES.filter((one): one is Extract<ComponentCase, { kind: K }> => one.kind === kind);
  const notes: string[] = [];
  const noteOf = (why: string): string => {
    if (!notes.includes(why)) notes.push(why);
    return String(notes.indexOf(why) + 1);
  };
  const rows = promises.map((promise) => {
    const cells = cases.map((subject) => {
      const why = promise.sparedBy?.(subject);
      return why === undefined ? "yes" : noteOf(why);
    });
    return row([promise.name, ...cells]);
  });
  const heads = cases.map(({ name }) => name.slice(name.indexOf("/") + 1));
  const lines = [
    row([`${kind === "exporter" || kind === "extension" ? "an" : "a"} ${kind}`, ...heads]),
    row(["---", ...heads.map(() => "---")]),
    ...rows,
  ];
  const reasons = notes.map((why, index) => `${index + 1}: ${why}.`);
  return [...lines, "", ...(reasons.length > 0 ? [reasons.join(" "), ""] : [])].join("\n");
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
