import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { Case } from "./judge.ts";

/** The configurations of everyday.yaml and everyday-whole.yaml, each made a whole one. */

type Bodies = Readonly<Record<string, readonly string[]>>;

const read = (name: string): unknown => parse(readFileSync(new URL(name, import.meta.url), "utf8"));

/** What `${file:...}` in them names. */
const FILES = {
  "dbg.yaml": "verbosity: detailed\n",
  "list.yaml": "- debug\n",
  "word.txt": "debug",
  "word2.txt": "detailed\n",
};

export function everydayCases(): Case[] {
  const bodies = Object.entries(read("everyday.yaml") as Bodies).flatMap(([place, written]) =>
    written.map((body) => caseOf(`${place} ${body}`, wholeOf(place, body))),
  );
  const whole = Object.entries(read("everyday-whole.yaml") as Readonly<Record<string, string>>);
  return [...bodies, ...whole.map(([name, text]) => caseOf(`whole ${name}`, text))];
}

function caseOf(id: string, text: string): Case {
  return { id, configs: ["config.yaml"], files: { ...FILES, "config.yaml": text } };
}

const RECEIVER = "{ protocols: { grpc: { endpoint: 'localhost:0' } } }";

function wholeOf(place: string, body: string): string {
  const [section = "", type = ""] = place.split(".");
  const receiver = section === "receivers" ? body : RECEIVER;
  const [exporter, exporterBody] = section === "exporters" ? [type, body] : ["debug", "{}"];
  const [processor, list] = section === "processors" ? [`  ${type}: ${body}\n`, `[${type}]`] : ["", "[]"];
  return `receivers:
  otlp: ${receiver}
processors:
${processor}exporters:
  ${exporter}: ${exporterBody}
service:
${section === "service" ? `  ${body}\n` : ""}  pipelines:
    logs: { receivers: [otlp], processors: ${list}, exporters: [${exporter}] }
${section === "top" ? `${body}\n` : ""}`;
}
