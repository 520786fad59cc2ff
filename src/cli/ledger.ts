import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { systemClock } from "../core/clock.ts";
import { storageFolderOf } from "../service/admin-socket.ts";
import { createConsoleLogger } from "../service/console-logger.ts";
import { LEDGER_PATH, readStoredLedger } from "../service/ledger-report.ts";
import type { LedgerReport } from "../service/ledger-report.ts";
import { formatLedgerReport } from "../service/ledger-text.ts";
import { AdminRefusal, askAdmin } from "./admin-client.ts";
import { readGatewayArgs } from "./gateway-args.ts";
import { type CliIo, EXIT_FAILED, EXIT_OK, EXIT_USAGE } from "./io.ts";
import { loadAndReport } from "./load-command.ts";

export const LEDGER_USAGE = `  --storage DIR      the folder of the queues, instead of the one that the configuration names
  --run              only since the gateway started; default: over all runs with that folder
  --json             both, as JSON
  Exit code 1 where an equation does not hold.`;

const FLAGS = ["--run", "--json"];

/** `signalbox ledger`: of the gateway that has the folder; where none runs, of what it left there. */
export async function runLedgerCommand(args: string[], io: CliIo): Promise<number> {
  const rest = args.filter((arg) => !FLAGS.includes(arg));
  const folder = await findFolder(rest, io);
  if (typeof folder === "number") return folder;
  const report = await readReport(folder, io);
  if (typeof report === "number") return report;
  if (args.includes("--json")) io.stdout(`${JSON.stringify(report, null, 2)}\n`);
  else if (args.includes("--run") && report.run === undefined) {
    io.stderr(`signalbox ledger: no gateway runs with ${folder}, so there is no run to show\n  leave --run out\n`);
    return EXIT_FAILED;
  } else {
    const shown = args.includes("--run") ? report.run! : report.ever;
    io.stdout(formatLedgerReport(report, shown, folder));
  }
  return report.imbalances.length === 0 ? EXIT_OK : EXIT_FAILED;
}

/** The storage's folder, or the exit code after what is wrong was said. */
async function findFolder(args: string[], io: CliIo): Promise<string | number> {
  const gatewayArgs = readGatewayArgs("ledger", args, io, ["storage"]);
  if (typeof gatewayArgs === "number") return gatewayArgs;
  const written = gatewayArgs.own["storage"];
  if (written !== undefined) return resolve(written);
  const loaded = await loadAndReport(gatewayArgs, io);
  if (typeof loaded === "number") return loaded;
  const folder = storageFolderOf(loaded.configuration);
  if (folder !== undefined) return folder;
  const what = "the queues of this configuration lie in memory, and nobody can be asked about them from outside";
  const fix = "its ledger is printed when it ends, and on its metrics page: signalbox_ledger_...";
  io.stderr(`signalbox ledger: ${what}\n  ${fix}\n`);
  return EXIT_USAGE;
}

async function readReport(folder: string, io: CliIo): Promise<LedgerReport | number> {
  try {
    const lines = await askAdmin(folder, { method: "GET", path: LEDGER_PATH });
    // Our own door's answer to our own question: one document, a LedgerReport.
    for await (const report of lines ?? []) return report as LedgerReport;
  } catch (error) {
    if (!(error instanceof AdminRefusal)) throw error;
    io.stderr(`signalbox ledger: ${error.message}\n`);
    return EXIT_FAILED;
  }
  if (!existsSync(folder)) {
    io.stderr(
      `signalbox ledger: the folder ${folder} does not exist\n  it is made when a gateway starts that keeps its queues there\n`,
    );
    return EXIT_FAILED;
  }
  const logger = createConsoleLogger({ clock: systemClock, write: io.stderr, level: "warn", encoding: "console" });
  try {
    return await readStoredLedger(folder, { clock: systemClock, logger });
  } catch (error) {
    io.stderr(`signalbox ledger: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_FAILED;
  }
}
