import { FieldWalker } from "../protobuf/walker.ts";
import { LENGTH_DELIMITED } from "../protobuf/wire-type.ts";
import { ProtobufWriter } from "../protobuf/writer.ts";
import { readText } from "../text.ts";
import { KeyValueReader } from "./any-value.ts";
import { GROUP_HEADER_FIELD } from "./batch-index.ts";
import { RESOURCE_ATTRIBUTES } from "./canonical.ts";
import type { Slice } from "./views/edits.ts";
import type { ResourcePatch } from "./views/regroup-plan.ts";

/** The fields of a resource group without its children, with a patch of its Resource. */
export function patchHeader(header: Uint8Array, patch: ResourcePatch): Uint8Array {
  const out = new ProtobufWriter(header.length + 128);
  const walker = new FieldWalker(header, 0, header.length);
  let resource: Uint8Array = NO_RESOURCE;
  while (walker.next()) {
    if (walker.number === GROUP_HEADER_FIELD) resource = header.subarray(walker.valueStart, walker.valueEnd);
    else out.copy(header, walker.fieldStart, walker.valueEnd);
  }
  out.bytesField(GROUP_HEADER_FIELD, patchResource(resource, patch));
  return out.toBytes();
}

const NO_RESOURCE = new Uint8Array(0);

/** The content of a Resource with a patch: equal to setting and deleting the same keys through its view. */
function patchResource(resource: Uint8Array, patch: ResourcePatch): Uint8Array {
  const out = new ProtobufWriter(resource.length + 128);
  const walker = new FieldWalker(resource, 0, resource.length);
  const pair = new KeyValueReader();
  const done = new Set<string>();
  while (walker.next()) {
    if (walker.number === RESOURCE_ATTRIBUTES) {
      pair.read(resource, walker.valueStart, walker.valueEnd);
      const key = readText(resource, pair.keyStart, pair.keyEnd);
      if (patch.has(key)) {
        if (!done.has(key)) writePair(out, patch.get(key));
        done.add(key);
        continue;
      }
    }
    out.copy(resource, walker.fieldStart, walker.valueEnd);
  }
  for (const [key, slice] of patch) if (!done.has(key)) writePair(out, slice);
  return out.toBytes();
}

function writePair(out: ProtobufWriter, pair: Slice | undefined): void {
  if (pair === undefined) return;
  out.tag(RESOURCE_ATTRIBUTES, LENGTH_DELIMITED);
  out.bytes(pair.bytes, pair.start, pair.end);
}
