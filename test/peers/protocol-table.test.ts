import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { TestFolder } from "../e2e/peers.ts";
import { findCollector, PEER_HINT } from "./find.ts";
import { ONE_REQUEST, protocolCases } from "./protocol-cases.ts";
import type { ProtocolCase } from "./protocol-cases.ts";
import { sendGrpc } from "./protocol-senders.ts";
import { fillQueue, SilentBackend, startCollectorBeside, startOurs } from "./protocol-servers.ts";
import type { Server } from "./protocol-servers.ts";

/**
 * `npm run protocol-table`: every case is sent to the gateway and to a real Collector in the same run. Ours must be what
 * the case expects; the README of receivers/otlp must have what was measured, and is written anew where
 * SIGNALBOX_WRITE_TABLES is set.
 */
const README = new URL("../../src/receivers/otlp/README.md", import.meta.url);
const TABLE = /(?<=<!-- protocol table: npm run protocol-table -->\n\n)[^]*?(?=\n\n<!-- end of protocol table -->)/;

const collector = findCollector();
const isWriting = (process.env["SIGNALBOX_WRITE_TABLES"] ?? "") !== "";

interface Measured extends ProtocolCase {
  readonly theirs: string | undefined;
  readonly ours: string;
}

const measured: Measured[] = [];

beforeAll(async () => {
  await using folder = await TestFolder.create();
  await using backend = await SilentBackend.start();
  await using processes = new AsyncDisposableStack();
  const ours = await startOurs(folder, backend.endpoint);
  processes.use(ours.process);
  const theirs = collector === undefined ? undefined : await startCollectorBeside(collector, folder, backend.endpoint);
  if (theirs !== undefined) processes.use(theirs.process);
  await Promise.all([fill(ours), theirs === undefined ? undefined : fill(theirs)]);
  for (const protocolCase of await protocolCases()) {
    const { send } = protocolCase;
    const [ownAnswer, theirAnswer] = await Promise.all([send(ours.ports), theirs && send(theirs.ports)]);
    measured.push({ ...protocolCase, ours: ownAnswer, theirs: theirAnswer });
  }
}, 120_000);

function fill({ ports }: Server): Promise<void> {
  return fillQueue(() => sendGrpc(ports.fullGrpc, ONE_REQUEST));
}

describe("the protocol table", () => {
  it("has at least 60 cases, each once", () => {
    expect(measured.length).toBeGreaterThanOrEqual(60);
    expect(new Set(measured.map(({ door, name }) => `${door} ${name}`)).size).toBe(measured.length);
  });

  it("has us answer every case as it expects", () => {
    const differing = measured.filter(({ ours, expected }) => ours !== expected);
    expect(differing.map(({ door, name, ours, expected }) => ({ door, name, ours, expected }))).toEqual([]);
  });

  it("stands in the README as it was measured", (context) => {
    if (collector === undefined) context.skip(PEER_HINT);
    const table = formatTable();
    const readme = readFileSync(README, "utf8");
    if (isWriting)
      writeFileSync(
        README,
        readme.replace(TABLE, () => table),
      );
    expect(TABLE.exec(isWriting ? readFileSync(README, "utf8") : readme)?.[0]).toBe(table);
  });
});

function formatTable(): string {
  const rows = measured.map(({ door, name, specification, theirs = "", ours }) => {
    const cells = [door, name, specification, theirs === ours ? "the same" : theirs, ours];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  const differing = measured.filter(({ theirs, ours }) => theirs !== ours).length;
  return [
    `${measured.length} cases, ${measured.length - differing} answered alike, ${differing} otherwise.`,
    "",
    "| door | case | specification | Collector v0.165.0 | ours |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
