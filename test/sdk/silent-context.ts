import type { Clock } from "../../src/core/clock.ts";
import type { Logger } from "../../src/core/logger.ts";
import type { Signal } from "../../src/core/signal.ts";
import type { ProcessorContext } from "../../src/sdk/context.ts";

const nothing = (): void => undefined;
const silentLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, with: () => silentLogger };

export function silentContext<S extends Signal>(signal: S, clock: Clock): ProcessorContext & { readonly signal: S } {
  return { id: "mine", signal, config: {}, logger: silentLogger, clock, count: nothing };
}
