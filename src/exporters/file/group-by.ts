import { posix } from "node:path";
import { reopenBatch } from "../../core/batch.ts";
import { ClientMetadata } from "../../core/client-metadata.ts";
import type { Signal } from "../../core/signal.ts";
import { CONTENT_END, FIELD_START, GROUP_COLUMNS } from "../../wire/otlp/batch-index.ts";
import { joinSlices } from "../../wire/otlp/payload.ts";
import { scanAccepted } from "../../wire/otlp/scan.ts";
import type { EncodedPayload } from "../../wire/otlp/types.ts";

export interface Groups {
  /** By the attribute's value: one request each, of the resources that have it, in their order. */
  readonly bySegment: ReadonlyMap<string, Uint8Array>;
  /** Of resources whose attribute is absent or no string; they belong to no file. */
  readonly homelessItems: number;
}

/** A request is its resource groups one after the other, so a part of it is some of these, as they are. */
export function groupByResource(signal: Signal, payload: EncodedPayload, attribute: string): Groups {
  const batch = reopenBatch(signal, joinSlices(payload), { client: ClientMetadata.internal, arrivalUnixNano: 0n });
  const bytes = joinSlices(batch.encode());
  const { resources } = scanAccepted(signal, bytes).index;
  const slices = new Map<string, Uint8Array[]>();
  let homelessItems = 0;
  let at = 0;
  for (const { resource } of batch.view.resourceGroups()) {
    const slice = bytes.subarray(resources[at + FIELD_START], resources[at + CONTENT_END]);
    at += GROUP_COLUMNS;
    const segment = resource.attributes.getString(attribute);
    if (segment === undefined) homelessItems += scanAccepted(signal, slice).index.itemCount;
    else if (slices.get(segment)?.push(slice) === undefined) slices.set(segment, [slice]);
  }
  batch.release();
  const bySegment = new Map([...slices].map(([segment, parts]) => [segment, Buffer.concat(parts)] as const));
  return { bySegment, homelessItems };
}

/**
 * The path with the value in place of its `*`. Whatever the value is, the file lies below what stands before the `*`:
 * the value comes from whoever sends telemetry.
 */
export function pathOf(pattern: string, segment: string): string {
  const star = pattern.indexOf("*");
  const [prefix, suffix] = [posix.normalize(pattern.slice(0, star)), pattern.slice(star + 1)];
  const name = segment.replaceAll("\0", "").replace(/^\.{1,2}(?=\/)/, "");
  const path = posix.normalize(`${prefix}${name}${suffix}`);
  return path.startsWith(prefix) ? path : posix.join(prefix, posix.join("/", `${name}${suffix}`));
}
