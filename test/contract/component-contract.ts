/**
 * The rules that every component keeps, as a library: one call gives a suite of tests, each named as the promise that it
 * tries. README.md has the promises and who keeps them; component-cases.ts is how a component gets its place.
 */
import { describe, expect, test } from "vitest";
import type { ContractPromise, ExporterCase, ExtensionCase, ProcessorCase, ReceiverCase } from "./contract.ts";
import { EXPORTER_PROMISES } from "./exporter-promises.ts";
import { EXTENSION_PROMISES } from "./extension-promises.ts";
import { PROCESSOR_PROMISES } from "./processor-promises.ts";
import { RECEIVER_PROMISES } from "./receiver-promises.ts";

export function describeReceiver(subject: ReceiverCase): void {
  describeCase(subject, RECEIVER_PROMISES);
}

export function describeProcessor(subject: ProcessorCase): void {
  describeCase(subject, PROCESSOR_PROMISES);
}

export function describeExporter(subject: ExporterCase): void {
  describeCase(subject, EXPORTER_PROMISES);
}

export function describeExtension(subject: ExtensionCase): void {
  describeCase(subject, EXTENSION_PROMISES);
}

/** What a case has nothing to keep of is no test: the table says why. */
function describeCase<C extends { readonly name: string }>(subject: C, promises: readonly ContractPromise<C>[]): void {
  const kept = promises.filter(({ sparedBy }) => sparedBy?.(subject) === undefined);
  describe(`the contract of ${subject.name}`, () => {
    test.for(kept.map((promise) => [promise.name, promise] as const))("%s", async ([, promise]) => {
      expect(await promise.holds(subject)).toBeUndefined();
    });
  });
}
