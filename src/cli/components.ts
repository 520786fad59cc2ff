import { stringify } from "yaml";
import { SECTION_NAMES } from "../config/components.ts";
import { schemeNames } from "../config/schemes.ts";
import type { ComponentFactory } from "../core/component.ts";
import { SIGNALS } from "../core/signal.ts";
import { VERSION } from "../core/version.ts";
import { type CliIo, EXIT_OK } from "./io.ts";
import { readTypes } from "./types-args.ts";

/**
 * The Collector's word for what is tested against the real thing and runs, while settings of its own may still change:
 * none of ours is more before 1.0. The keys that the Collector has are the Collector's, and stay.
 */
const STABILITY = "Alpha";

/** `signalbox components`: the types by kind, in the Collector's form. */
export async function runComponentsCommand(args: string[], io: CliIo): Promise<number> {
  const factories = await readTypes("components", args, io);
  if (typeof factories === "number") return factories;
  io.stdout(stringify(listing(factories)));
  return EXIT_OK;
}

function listing(factories: readonly ComponentFactory[]): object {
  const sections = Object.entries(SECTION_NAMES).map(([kind, section]) => {
    const ofKind = factories.filter((factory) => factory.kind === kind);
    return [section, ofKind.toSorted((a, b) => (a.type < b.type ? -1 : 1)).map(entry)] as const;
  });
  return {
    buildinfo: { command: "signalbox", description: "OpenTelemetry gateway in TypeScript", version: VERSION },
    ...Object.fromEntries(sections),
    providers: schemeNames().map((scheme) => ({ scheme })),
  };
}

function entry({ kind, type, deprecatedTypes = [], signals }: ComponentFactory): object {
  const named = kind === "extension" ? ["extension"] : SIGNALS.filter((signal) => signals.includes(signal));
  return {
    name: type,
    ...(deprecatedTypes.length > 0 && { deprecated_names: deprecatedTypes }),
    stability: Object.fromEntries(named.toSorted().map((signal) => [signal, STABILITY])),
  };
}
