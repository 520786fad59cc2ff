import { describe, expect, it } from "vitest";
import { factoryLookup } from "../../src/config/configuration.ts";
import type { ComponentKind } from "../../src/core/component-id.ts";
import { BUILT_IN_FACTORIES } from "../../src/service/built-in.ts";

/** The names that the Collector gave up for snake_case; the otlp receiver kept its own. */
const RENAMED: readonly (readonly [kind: ComponentKind, before: string, now: string])[] = [
  ["exporter", "otlp", "otlp_grpc"],
  ["exporter", "otlphttp", "otlp_http"],
  ["receiver", "fluentforward", "fluent_forward"],
  ["receiver", "filelog", "file_log"],
  ["processor", "resourcedetection", "resource_detection"],
  ["processor", "k8sattributes", "k8s_attributes"],
  ["exporter", "loadbalancing", "load_balancing"],
];

const lookup = factoryLookup(BUILT_IN_FACTORIES);
const ours = RENAMED.filter(([kind, , now]) => lookup.types(kind).includes(now));

describe("a component that the Collector has renamed", () => {
  it("is one of ours at least", () => expect(ours.length).toBeGreaterThanOrEqual(2));

  it.each(ours)("(%s %s) is found by its old name too", (kind, before, now) => {
    expect(lookup.find(kind, before)?.type).toBe(now);
  });
});
