import type { Listening } from "../core/component.ts";

export interface BannerSettings {
  readonly version: string;
  readonly listening: readonly Listening[];
  /** How a person calls the command: `signalbox`, or `npm run -s signalbox` in a checkout. */
  readonly command: string;
}

/** Where `signalbox logs`, `trace` and `job` ask (cli/store-client.ts). */
const STORE_URL_DEFAULT = "http://127.0.0.1:4319";

/** What a person needs to know once it runs: where it listens, what to set in a worker, where the data lies, how to look at it. */
export function formatBanner({ version, listening, command }: BannerSettings): string {
  const width = Math.max(...listening.map(({ what }) => what.length));
  // Where workers send comes first; the components report in the order they start, which is the other way round.
  const ordered = listening.toSorted((a, b) => Number(b.what.startsWith("OTLP")) - Number(a.what.startsWith("OTLP")));
  const lines = ordered.map(({ what, address, detail }) => {
    const tail = detail === undefined ? "" : `   (${detail})`;
    return `  ${what.padEnd(width)}  ${address}${tail}`;
  });
  return [
    `Signalbox ${version} listens on`,
    ...lines,
    ...workerHint(listening),
    ...storeHint(listening, command),
    "",
  ].join("\n");
}

function workerHint(listening: readonly Listening[]): string[] {
  const grpc = listening.find(({ what }) => what === "OTLP/gRPC");
  const http = listening.find(({ what }) => what === "OTLP/HTTP");
  const lines: string[] = [];
  if (grpc !== undefined) lines.push(`  OTEL_EXPORTER_OTLP_ENDPOINT=${asUrl(grpc.address)}`);
  if (http !== undefined) {
    lines.push(`  OTEL_EXPORTER_OTLP_ENDPOINT=${asUrl(http.address)} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf`);
  }
  if (lines.length === 0) return [];
  return [
    "In a worker, one of",
    ...lines,
    "and who it is",
    "  OTEL_RESOURCE_ATTRIBUTES=machine.id=railway-abc123,worker.id=worker-001,service.type=comfyui",
  ];
}

function storeHint(listening: readonly Listening[], command: string): string[] {
  const store = listening.find(({ what }) => what === "store API");
  if (store === undefined) return [];
  // The commands ask the default address; any other is said, so that a line copied from here asks this gateway.
  const isDefault = asUrl(store.address) === STORE_URL_DEFAULT;
  const dashes = command.startsWith("npm ") ? " --" : "";
  const where = isDefault ? "" : `${dashes} --url ${asUrl(store.address)}`;
  return ["Look at it with", `  ${command} logs 'level:error'${where}`, `  ${command} job JOB_ID${where}`];
}

function asUrl(address: string): string {
  // A worker on this machine cannot connect to "any address".
  const reachable = address.replace(/^(?:0\.0\.0\.0|\[::\])(?=:)/, "127.0.0.1");
  return reachable.includes("://") || reachable.startsWith("unix:") ? reachable : `http://${reachable}`;
}
