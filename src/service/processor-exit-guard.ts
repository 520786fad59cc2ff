import { syncBuiltinESMExports } from "node:module";
import { runningProcessor } from "./processor-fault.ts";

type Ending = (...args: unknown[]) => unknown;

// The last is what the first calls; a library may call it at once.
const ENDINGS = ["exit", "abort", "reallyExit"] as const;

let isInstalled = false;

/**
 * A user's code must not end the gateway: at import `validate` would print nothing and pass, within a batch everybody
 * else's records would go with it. From the first call on, what ends this process throws where a processor's code, or
 * what it has started, calls it; then the error is reported as any other of that processor's, with its line. For
 * everybody else nothing changes, and no batch pays for it.
 *
 * It keeps mistakes from hurting, not malice: a processor's code has all the rights of the gateway.
 */
export function guardAgainstExit(): void {
  if (isInstalled) return;
  isInstalled = true;
  for (const name of ENDINGS) wrap(name, () => true);
  wrap("kill", ([pid, signal]) => signal !== 0 && (pid === process.pid || pid === 0));
  // `import { exit } from "node:process"` takes the functions as they stood, until Node is told.
  syncBuiltinESMExports();
}

function wrap(name: string, ends: (args: readonly unknown[]) => boolean): void {
  const original = Reflect.get(process, name) as Ending;
  const guarded: Ending = (...args) => {
    const processor = runningProcessor();
    if (processor !== undefined && ends(args)) throw new ForbiddenExitError(processor.type, name);
    return Reflect.apply(original, process, args);
  };
  Reflect.set(process, name, guarded);
}

export class ForbiddenExitError extends Error {
  override readonly name = "ForbiddenExitError";
  constructor(type: string, called: string) {
    super(`process.${called}() in processors.${type} would end the whole gateway; throw an Error instead`);
  }
}
