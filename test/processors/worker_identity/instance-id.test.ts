import { describe, expect, it } from "vitest";
import { isUuid, machineInstanceId, workerInstanceId } from "../../../processors/worker_identity/instance-id.ts";

describe("service.instance.id", () => {
  it.each([
    ["railway-abc123", "worker-001", "machine-railway-abc123.worker-001"],
    ["machine-prod-01", "worker-001", "machine-prod-01.worker-001"],
    ["railway-abc123", "railway-abc123-worker-0", "machine-railway-abc123.worker-0"],
    ["railway-abc123", "machine-railway-abc123.worker-001", "machine-railway-abc123.worker-001"],
    ["machine-prod-01", "machine-prod-01-worker-2", "machine-prod-01.worker-2"],
    ["railway-abc123", "comfyui-gpu0", "machine-railway-abc123.comfyui-gpu0"],
    // A worker that only begins like the machine, or is named exactly as it, does not repeat it.
    ["rail", "railway-1", "machine-rail.railway-1"],
    ["rail", "rail", "machine-rail.rail"],
    ["rail", "rail-", "machine-rail.rail-"],
  ])("of worker %s + %s is %s", (machine, worker, id) => {
    expect(workerInstanceId(machine, worker)).toBe(id);
  });

  it("of a whole machine has the prefix once", () => {
    expect(machineInstanceId("railway-abc123")).toBe("machine-railway-abc123");
    expect(machineInstanceId("machine-prod-01")).toBe("machine-prod-01");
  });

  it("counts as made up where it is a UUID in any of the usual forms", () => {
    expect(isUuid("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")).toBe(true);
    expect(isUuid("F81D4FAE7DEC11D0A76500A0C91E6BF6")).toBe(true);
    expect(isUuid("worker-f81d4fae-7dec-11d0-a765-00a0c91e6bf6")).toBe(false);
    expect(isUuid("")).toBe(false);
  });
});
