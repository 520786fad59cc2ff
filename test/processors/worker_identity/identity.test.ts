import { describe, expect, it } from "vitest";
import {
  contradicts,
  resolveIdentity,
  type InstanceIdMode,
  type Said,
  type Sources,
} from "../../../processors/worker_identity/identity.ts";

const UUID = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

function resolve(sources: Partial<Sources>, mode: InstanceIdMode = "replace_generated") {
  return resolveIdentity({ resource: {}, spoken: [], senders: [], ...sources }, mode);
}

describe("who a resource is", () => {
  it("goes by the resource, then the record, the scope, the header and the configuration", () => {
    const sources = ["resource", "record", "scope", "header", "configuration"].map((name): Said => ({
      serviceType: name,
    }));
    for (const [index, said] of sources.entries()) {
      const from = (position: number): Said => (position < index ? {} : sources[position]!);
      const identity = resolve({ resource: from(0), spoken: [from(1), from(2)], senders: [from(3), from(4)] });
      expect(identity.serviceType).toBe(said.serviceType);
    }
  });

  it("puts a machine and a worker from different sources together", () => {
    expect(resolve({ spoken: [{ worker: "w1" }], senders: [{ machine: "m" }] }).instance).toBe("machine-m.w1");
    expect(resolve({ resource: { machine: "m" }, spoken: [{ worker: "w1" }] }).instance).toBe("machine-m.w1");
  });

  it("never puts a worker on another machine than the one it was named with", () => {
    const identity = resolve({ resource: { machine: "m" }, senders: [{ machine: "other", worker: "w" }] });
    expect(identity).toMatchObject({ machine: "m", worker: undefined, instance: "machine-m" });
  });

  it("takes something that is no id as a taken place", () => {
    expect(resolve({ resource: { machine: null }, senders: [{ machine: "m", worker: "w" }] })).toMatchObject({
      machine: undefined,
      worker: undefined,
      instance: undefined,
    });
    expect(resolve({ resource: { machine: "m", worker: "w", instance: null } }).instance).toBeUndefined();
  });

  it.each<[string, InstanceIdMode, Said, string | undefined, string | undefined]>([
    ["absent", "replace_generated", { machine: "m", worker: "w" }, "machine-m.w", undefined],
    ["chosen", "replace_generated", { machine: "m", worker: "w", instance: "mine" }, "mine", undefined],
    ["a UUID", "replace_generated", { machine: "m", worker: "w", instance: UUID }, "machine-m.w", UUID],
    ["a UUID without a worker", "replace_generated", { machine: "m", instance: UUID }, UUID, undefined],
    ["a UUID without a machine", "replace_generated", { worker: "w", instance: UUID }, UUID, undefined],
    [
      "the whole machine's",
      "replace_generated",
      { machine: "m", worker: "w", instance: "machine-m" },
      "machine-m",
      undefined,
    ],
    ["absent", "insert", { machine: "m", worker: "w" }, "machine-m.w", undefined],
    ["a UUID", "insert", { machine: "m", worker: "w", instance: UUID }, UUID, undefined],
    ["chosen", "overwrite", { machine: "m", worker: "w", instance: "mine" }, "machine-m.w", "mine"],
    ["chosen, of a whole machine", "overwrite", { machine: "m", instance: "mine" }, "mine", undefined],
    ["right already", "overwrite", { machine: "m", worker: "w", instance: "machine-m.w" }, "machine-m.w", undefined],
    ["absent, worker alone", "replace_generated", { worker: "w" }, undefined, undefined],
  ])("gives an instance id where it was %s (%s)", (_name, mode, resource, instance, original) => {
    expect(resolve({ resource }, mode)).toMatchObject({ instance, original });
  });

  it("takes an instance id that a record chose before one that is derived", () => {
    expect(resolve({ spoken: [{ machine: "m", worker: "w", instance: "mine" }] }).instance).toBe("mine");
    expect(resolve({ spoken: [{ machine: "m", worker: "w", instance: UUID }] })).toMatchObject({
      instance: "machine-m.w",
      original: UUID,
    });
  });
});

describe("a record contradicts its resource", () => {
  it.each<[string, Said, Said, boolean]>([
    ["another machine", { machine: "m" }, { machine: "n", worker: "w" }, true],
    ["another worker", { worker: "w" }, { machine: "n", worker: "v" }, true],
    ["another chosen instance", { instance: "mine" }, { instance: "yours" }, true],
    ["a UUID beside a chosen instance", { instance: "mine" }, { instance: UUID }, false],
    [
      "an instance where the resource's is made up",
      { machine: "m", worker: "w", instance: UUID },
      { instance: "yours" },
      false,
    ],
    ["the same worker", { machine: "m", worker: "w" }, { machine: "m", worker: "w" }, false],
    ["another service type only", { machine: "m", serviceType: "a" }, { machine: "m", serviceType: "b" }, false],
    ["a machine where something that is no id stands", { machine: null }, { machine: "m" }, true],
  ])("that names %s: %o against %o", (_name, resource, spoken, expected) => {
    expect(contradicts(resource, spoken)).toBe(expected);
  });
});
