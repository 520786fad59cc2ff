/**
 * `service.instance.id` of a worker is `machine-<machine_id>.<worker_id>`, of a whole machine `machine-<machine_id>`:
 * the same for a worker whatever door its signals took, and readable.
 */

const PREFIX = "machine-";

// What may stand between a machine's id and the rest of a worker's id that repeats it: railway-abc123-worker-0.
const SEPARATORS = "-._:/";

export function machineInstanceId(machine: string): string {
  return machine.startsWith(PREFIX) ? machine : PREFIX + machine;
}

export function workerInstanceId(machine: string, worker: string): string {
  const whole = machineInstanceId(machine);
  return `${whole}.${withoutMachine(worker, [whole, machine])}`;
}

function withoutMachine(worker: string, machineNames: readonly string[]): string {
  for (const name of machineNames) {
    const hasMore = worker.length > name.length + 1 && SEPARATORS.includes(worker.charAt(name.length));
    if (hasMore && worker.startsWith(name)) return worker.slice(name.length + 1);
  }
  return worker;
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** The Python SDK, and others, name each process by a UUID of its own where nobody chose an id. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
