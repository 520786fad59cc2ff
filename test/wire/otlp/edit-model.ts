/**
 * Edits as types.ts describes them, done on plain decoded objects: what the views must come to.
 * Random edits are applied to the views and to the model at the same place, side by side.
 */
import type { Signal } from "../../../src/core/signal.ts";
import assert from "node:assert/strict";
import {
  Double,
  type AttributeInput,
  type Attributes,
  type BatchView,
  type DataPointView,
  type MetricView,
  type RecordView,
  type ResourceEdit,
  type ResourceGroup,
  type ScopeGroup,
  type SpanView,
} from "../../../src/wire/otlp/types.ts";
import { describe, rawOf, rawText, textOf, UNKNOWN, type NaiveMessage, type NaiveValue } from "./naive.ts";
import { KEYS, type Random } from "./random-request.ts";
import { childOf, DATA, GROUPS, listOf, RECORDS, SCOPES } from "./view-snapshot.ts";

const DELETED = "$deleted";

interface ModelRecord {
  readonly message: NaiveMessage;
  readonly edits: ResourceEdit[];
  isDropped: boolean;
}

interface ModelScope {
  readonly message: NaiveMessage;
  readonly records: readonly ModelRecord[];
  isDropped: boolean;
}

interface ModelGroup {
  readonly message: NaiveMessage;
  readonly scopes: readonly ModelScope[];
  isDropped: boolean;
}

export class EditModel {
  readonly #signal: Signal;
  readonly #request: NaiveMessage;
  readonly #groups: readonly ModelGroup[];

  constructor(signal: Signal, request: NaiveMessage) {
    this.#signal = signal;
    this.#request = request;
    this.#groups = listOf(request, GROUPS[signal]).map((group) => ({
      message: group,
      isDropped: false,
      scopes: listOf(group, SCOPES[signal]).map((scope) => ({
        message: scope,
        isDropped: false,
        records: listOf(scope, RECORDS[signal]).map((record) => ({ message: record, edits: [], isDropped: false })),
      })),
    }));
  }

  /** One random edit, here and on the view. */
  edit(random: Random, view: BatchView): void {
    const groups = this.#groups.filter(({ isDropped }) => !isDropped);
    const groupViews = [...view.resourceGroups()];
    assert.equal(groupViews.length, groups.length);
    if (groups.length === 0) return;
    const at = random.below(groups.length);
    const group = groups[at]!;
    const groupView = groupViews[at]!;
    if (random.chance(0.3)) return this.#editGroup(random, group, groupView);
    const scopes = group.scopes.filter(({ isDropped }) => !isDropped);
    const scopeViews = [...groupView.scopes()];
    assert.equal(scopeViews.length, scopes.length);
    if (scopes.length === 0) return;
    const scopeAt = random.below(scopes.length);
    const scope = scopes[scopeAt]!;
    const scopeView = scopeViews[scopeAt]!;
    const records = scope.records.filter(({ isDropped }) => !isDropped);
    const recordViews = [...scopeView.records()];
    assert.equal(recordViews.length, records.length);
    if (random.chance(0.25) || records.length === 0) return this.#editScope(random, group, scope, scopeView);
    const recordAt = random.below(records.length);
    this.#editRecord(random, { group, scope, record: records[recordAt]! }, recordViews[recordAt]!);
  }

  #editGroup(random: Random, group: ModelGroup, view: ResourceGroup): void {
    switch (random.below(10)) {
      case 0:
        view.drop();
        for (const scope of group.scopes) dropScope(group, scope);
        group.isDropped = true;
        return;
      case 1:
        return editScalar(random, group.message, view, "schemaUrl", "string");
      case 2:
        return editScalar(random, open(group.message, "resource"), view.resource, "droppedAttributesCount", "uint32");
      default:
        return editAttributes(random, group.message, "resource", view.resource.attributes);
    }
  }

  #editScope(random: Random, group: ModelGroup, scope: ModelScope, view: ScopeGroup): void {
    switch (random.below(7)) {
      case 0:
        view.drop();
        return dropScope(group, scope);
      case 1:
        return editScalar(random, scope.message, view, "schemaUrl", "string");
      case 2:
        return editScalar(random, open(scope.message, "scope"), view.scope, random.pick(["name", "version"]), "string");
      case 3: {
        const edit = randomResourceEdit(random);
        assert.equal(view.moveToResource(edit), true);
        for (const record of scope.records) if (!record.isDropped) moveRecord(record, edit);
        return;
      }
      default:
        return editAttributes(random, scope.message, "scope", view.scope.attributes);
    }
  }

  #editRecord(random: Random, place: Place, view: RecordView): void {
    const { message } = place.record;
    if (random.chance(0.1)) {
      view.drop();
      return dropRecord(place);
    }
    if (random.chance(0.2)) {
      const edit = randomResourceEdit(random);
      assert.equal(view.moveToResource(edit), true);
      return moveRecord(place.record, edit);
    }
    if (this.#signal === "metrics") return editMetric(random, place, view as MetricView);
    if (random.chance(0.5)) return editAttributes(random, message, undefined, (view as SpanView).attributes);
    if (this.#signal === "traces" && random.chance(0.5)) return editSpanParts(random, message, view as SpanView);
    const fields: readonly (readonly [string, Kind])[] = this.#signal === "logs" ? LOG_FIELDS : SPAN_FIELDS;
    const [field, kind] = random.pick(fields);
    editScalar(random, message, view, field, kind);
  }

  /** The request as views read it: moved records still stand under their own resource. */
  read(): NaiveMessage {
    const groups = this.#groups.filter(({ isDropped }) => !isDropped);
    return clean({ [GROUPS[this.#signal]]: groups.map((group) => this.#groupAsIs(group)) });
  }

  #groupAsIs({ message, scopes }: ModelGroup): NaiveMessage {
    const signal = this.#signal;
    const left = scopes.filter(({ isDropped }) => !isDropped);
    const scopesLeft = left.map((scope) => ({
      ...scope.message,
      [RECORDS[signal]]: scope.records.filter(({ isDropped }) => !isDropped).map((record) => record.message),
    }));
    return { ...message, [SCOPES[signal]]: scopesLeft };
  }

  get hasMoves(): boolean {
    return this.#groups.some(({ scopes }) =>
      scopes.some(({ records }) => records.some(({ edits }) => edits.length > 0)),
    );
  }

  /** The request as it is encoded. */
  encode(): NaiveMessage {
    const unknown = this.#request[UNKNOWN];
    const request = this.hasMoves ? this.#regroup() : this.read();
    return unknown === undefined ? request : { ...request, [UNKNOWN]: unknown };
  }

  #regroup(): NaiveMessage {
    const signal = this.#signal;
    const output: {
      header: NaiveMessage;
      key: string;
      scopes: { header: NaiveMessage; key: string; records: NaiveMessage[] }[];
    }[] = [];
    const openGroup = (group: ModelGroup, edits: readonly ResourceEdit[]) => {
      const { [SCOPES[signal]]: _scopes, ...fields } = group.message;
      const resource = patched(childOf(group.message, "resource"), edits);
      const header = clean(resource === undefined ? fields : { ...fields, resource });
      const key = describe(canonical({ resource: {}, ...header }));
      let found = output.find((candidate) => candidate.key === key);
      if (found === undefined) output.push((found = { header, key, scopes: [] }));
      return found;
    };
    const openScope = (group: (typeof output)[number], scope: ModelScope) => {
      const { [RECORDS[signal]]: _records, ...header } = clean(scope.message);
      const key = describe(canonical({ scope: {}, ...header }));
      let found = group.scopes.find((candidate) => candidate.key === key);
      if (found === undefined) group.scopes.push((found = { header, key, records: [] }));
      return found;
    };
    for (const group of this.#groups) {
      if (group.isDropped) continue;
      if (group.scopes.length === 0) openGroup(group, []);
      for (const scope of group.scopes) {
        if (scope.isDropped) continue;
        if (scope.records.length === 0) openScope(openGroup(group, []), scope);
        for (const record of scope.records) {
          if (!record.isDropped) openScope(openGroup(group, record.edits), scope).records.push(record.message);
        }
      }
    }
    return clean({
      [GROUPS[signal]]: output.map(({ header, scopes }) => ({
        ...header,
        [SCOPES[signal]]: scopes.map((scope) => ({ ...scope.header, [RECORDS[signal]]: scope.records })),
      })),
    });
  }
}

interface Place {
  readonly group: ModelGroup;
  readonly scope: ModelScope;
  readonly record: ModelRecord;
}

function dropRecord({ group, scope, record }: Place): void {
  record.isDropped = true;
  if (scope.records.every(({ isDropped }) => isDropped)) dropScope(group, scope);
}

function dropScope(group: ModelGroup, scope: ModelScope): void {
  for (const record of scope.records) record.isDropped = true;
  scope.isDropped = true;
  if (group.scopes.every(({ isDropped }) => isDropped)) group.isDropped = true;
}

function moveRecord(record: ModelRecord, edit: ResourceEdit): void {
  if (Object.keys(edit.set ?? {}).length + (edit.delete ?? []).length > 0) record.edits.push(edit);
}

function patched(resource: NaiveMessage | undefined, edits: readonly ResourceEdit[]): NaiveMessage | undefined {
  if (edits.length === 0) return resource;
  const holder = structuredClone(resource ?? {});
  for (const edit of edits) {
    for (const key of edit.delete ?? []) deleteAttribute(holder, "attributes", key);
    for (const [key, value] of Object.entries(edit.set ?? {}))
      setAttribute(holder, "attributes", key, naiveInput(value));
  }
  return holder;
}

function open(message: NaiveMessage, field: string): NaiveMessage {
  return (message[field] ??= {}) as NaiveMessage;
}

type Kind = "string" | "time" | "uint32" | "enum" | "traceId" | "spanId" | "body";

const LOG_FIELDS = [
  ["timeUnixNano", "time"],
  ["observedTimeUnixNano", "time"],
  ["severityNumber", "enum"],
  ["severityText", "string"],
  ["body", "body"],
  ["body", "body"],
  ["traceId", "traceId"],
  ["spanId", "spanId"],
  ["flags", "uint32"],
  ["eventName", "string"],
  ["droppedAttributesCount", "uint32"],
] as const satisfies readonly (readonly [string, Kind])[];

const SPAN_FIELDS = [
  ["traceId", "traceId"],
  ["spanId", "spanId"],
  ["parentSpanId", "spanId"],
  ["traceState", "string"],
  ["flags", "uint32"],
  ["name", "string"],
  ["kind", "enum"],
  ["startTimeUnixNano", "time"],
  ["endTimeUnixNano", "time"],
  ["droppedAttributesCount", "uint32"],
  ["droppedEventsCount", "uint32"],
  ["droppedLinksCount", "uint32"],
] as const satisfies readonly (readonly [string, Kind])[];

/** Sets the same random value in the model and on the view; `viewField` where the two names differ. */
function editScalar(
  random: Random,
  message: NaiveMessage,
  view: object,
  field: string,
  kind: Kind,
  viewField = field,
): void {
  const value = randomScalar(random, kind);
  assert.equal(Reflect.set(view, viewField, value), true);
  if (kind === "body") {
    if (value === undefined) delete message[field];
    else message[field] = naiveInput(value as AttributeInput);
    return;
  }
  if (value === "" || value === 0 || value === 0n) delete message[field];
  else if (kind === "string") message[field] = rawOf(value as string);
  else if (kind === "traceId" || kind === "spanId") message[field] = `0x${value as string}`;
  else message[field] = value as NaiveValue;
}

function randomScalar(random: Random, kind: Kind): unknown {
  switch (kind) {
    case "string":
      return random.pick(["", "x", "näme \u{1f600}", "long ".repeat(50)]);
    case "time":
      return random.pick([0n, 1n, 2n ** 64n - 1n, 1_700_000_000_000_000_000n]);
    case "uint32":
      return random.pick([0, 1, 300, 2 ** 32 - 1]);
    case "enum":
      return random.below(25);
    case "traceId":
      return random.pick(["", "0123456789abcdef".repeat(2)]);
    case "spanId":
      return random.pick(["", "0123456789abcdef"]);
    case "body":
    default:
      return random.chance(0.2) ? undefined : randomInput(random, 0);
  }
}

export function randomInput(random: Random, depth: number): AttributeInput {
  const leaves: readonly AttributeInput[] = [
    "",
    "text",
    "näme \u{1f600}",
    "y".repeat(200),
    true,
    false,
    0,
    -1,
    2 ** 40,
    Number.MAX_SAFE_INTEGER,
    1.5,
    Number.NaN,
    2n ** 63n - 1n,
    -(2n ** 63n),
    5n,
    new Double(3),
    new Uint8Array([1, 2, 255]),
    new Uint8Array(0),
    null,
  ];
  if (depth > 2 || random.chance(0.7)) return random.pick(leaves);
  const items = Array.from({ length: random.below(4) }, () => randomInput(random, depth + 1));
  if (random.chance(0.4)) return items;
  const entries = items.map((item) => [random.pick(["p", "q", "__proto__x"]), item] as const);
  return random.chance(0.5) ? new Map(entries) : Object.fromEntries(entries);
}

/** What an input comes to, decoded. */
export function naiveInput(input: AttributeInput): NaiveMessage {
  if (input === null) return {};
  if (typeof input === "string") return { stringValue: rawOf(input) };
  if (typeof input === "boolean") return { boolValue: input };
  if (typeof input === "bigint") return { intValue: input };
  if (typeof input === "number")
    return Number.isSafeInteger(input) ? { intValue: BigInt(input) } : { doubleValue: input };
  if (input instanceof Double) return { doubleValue: input.value };
  if (input instanceof Uint8Array) return { bytesValue: `0x${Buffer.from(input).toString("hex")}` };
  if (Array.isArray(input)) return { arrayValue: input.length === 0 ? {} : { values: input.map(naiveInput) } };
  const entries: [string, AttributeInput][] = input instanceof Map ? [...input] : Object.entries(input);
  const values = entries.map(([key, value]) => naivePair(key, naiveInput(value)));
  return { kvlistValue: values.length === 0 ? {} : { values } };
}

function naivePair(key: string, value: NaiveMessage): NaiveMessage {
  return key === "" ? { value } : { key: rawOf(key), value };
}

/** Edits attributes in `message`, or in its child `field`, which appears once something is written. */
function editAttributes(random: Random, message: NaiveMessage, field: string | undefined, view: Attributes): void {
  editList(random, field === undefined ? message : (childOf(message, field) ?? {}), "attributes", view, (holder) => {
    if (field !== undefined) message[field] = holder;
  });
}

function editList(
  random: Random,
  holder: NaiveMessage,
  field: string,
  view: Attributes,
  written: (holder: NaiveMessage) => void,
): void {
  const key = random.pick(KEYS);
  const value = randomInput(random, 0);
  const isThere = findAttribute(holder, field, key) !== undefined;
  const write = (): void => {
    setAttribute(holder, field, key, naiveInput(value));
    written(holder);
  };
  switch (random.below(6)) {
    case 5: {
      const keys = [key, random.pick(KEYS), random.pick(KEYS)];
      view.deleteMany(random.chance(0.5) ? Object.freeze(keys) : keys);
      for (const name of keys) deleteAttribute(holder, field, name);
      return;
    }
    case 0:
      view.set(key, value);
      return write();
    case 1:
      assert.equal(view.insert(key, value), !isThere);
      return isThere ? undefined : write();
    case 2:
      assert.equal(view.update(key, value), isThere);
      return isThere ? write() : undefined;
    case 3:
      assert.equal(view.delete(key), isThere);
      return deleteAttribute(holder, field, key);
    default: {
      const from = random.pick(KEYS);
      const source = findAttribute(holder, field, from);
      assert.equal(view.copy(from, key), source !== undefined);
      if (source === undefined) return;
      setAttribute(holder, field, key, structuredClone(childOf(source, "value") ?? {}));
      written(holder);
    }
  }
}

function matching(holder: NaiveMessage, field: string, key: string): NaiveMessage[] {
  return listOf(holder, field).filter((pair) => textOf(pair["key"]) === key);
}

function findAttribute(holder: NaiveMessage, field: string, key: string): NaiveMessage | undefined {
  return matching(holder, field, key).find((pair) => pair[DELETED] === undefined);
}

/** In the place of the first occurrence; a deleted key keeps its place, as in the overlay. */
function setAttribute(holder: NaiveMessage, field: string, key: string, value: NaiveMessage): void {
  const [first, ...others] = matching(holder, field, key);
  if (first === undefined) {
    holder[field] = [...listOf(holder, field), naivePair(key, value)];
    return;
  }
  for (const name of Object.keys(first)) delete first[name];
  Object.assign(first, naivePair(key, value));
  for (const other of others) other[DELETED] = true;
}

function deleteAttribute(holder: NaiveMessage, field: string, key: string): void {
  if (findAttribute(holder, field, key) === undefined) return;
  for (const pair of matching(holder, field, key)) pair[DELETED] = true;
}

export function randomResourceEdit(random: Random): ResourceEdit {
  const set = Object.fromEntries(
    Array.from({ length: random.below(3) }, () => [
      random.pick(KEYS),
      random.pick<AttributeInput>(["m1", "m2", 7, ["z"]]),
    ]),
  );
  return random.chance(0.3) ? { set, delete: [random.pick(KEYS)] } : { set };
}

function editSpanParts(random: Random, message: NaiveMessage, span: SpanView): void {
  if (random.chance(0.3)) {
    const status = open(message, "status");
    if (random.chance(0.5)) return editScalar(random, status, span, "code", "enum", "statusCode");
    return editScalar(random, status, span, "message", "string", "statusMessage");
  }
  const field = random.pick(["events", "links"]);
  const items = listOf(message, field).filter((item) => item[DELETED] === undefined);
  const views = field === "events" ? [...span.events()] : [...span.links()];
  assert.equal(views.length, items.length);
  if (items.length === 0) return;
  const at = random.below(items.length);
  const item = items[at]!;
  const view = views[at]!;
  if (random.chance(0.2)) {
    view.drop();
    item[DELETED] = true;
  } else if (random.chance(0.6)) {
    editAttributes(random, item, undefined, view.attributes);
  } else if (field === "events") {
    editScalar(random, item, view, "name", "string");
  } else {
    editScalar(random, item, view, "spanId", "spanId");
  }
}

function editMetric(random: Random, place: Place, metric: MetricView): void {
  const { message } = place.record;
  if (random.chance(0.2))
    return editScalar(random, message, metric, random.pick(["name", "description", "unit"]), "string");
  if (random.chance(0.2)) return editList(random, message, "metadata", metric.metadata, () => undefined);
  const field = DATA.find((name) => message[name] !== undefined);
  const points =
    field === undefined ? [] : listOf(childOf(message, field), "dataPoints").filter((point) => !(DELETED in point));
  const views: DataPointView[] = [...metric.dataPoints()];
  assert.equal(views.length, points.length);
  if (points.length === 0) return;
  const at = random.below(points.length);
  const point = points[at]!;
  const view = views[at]!;
  if (random.chance(0.3)) {
    view.drop();
    point[DELETED] = true;
    if (points.length === 1) dropRecord(place);
  } else if (random.chance(0.5)) {
    editAttributes(random, point, undefined, view.attributes);
  } else {
    editScalar(random, point, view, random.pick(["startTimeUnixNano", "timeUnixNano"]), "time");
  }
}

/** Without deleted members and empty lists. */
function clean(message: NaiveMessage): NaiveMessage {
  const result: NaiveMessage = {};
  for (const [name, value] of Object.entries(message)) {
    if (Array.isArray(value)) {
      const items = value.filter((item) => typeof item !== "object" || !(DELETED in item));
      if (items.length > 0) result[name] = items.map((item) => (isMessage(item) ? clean(item) : item));
    } else {
      result[name] = isMessage(value) ? clean(value) : value;
    }
  }
  return result;
}

function isMessage(value: NaiveValue): value is NaiveMessage {
  return typeof value === "object" && !Array.isArray(value);
}

/** Attributes and kvlists sorted by key, fields by name. */
export function canonical(value: NaiveValue): NaiveValue {
  if (Array.isArray(value)) {
    const items = value.map(canonical);
    const isPairs =
      items.length > 0 &&
      items.every((item) => isMessage(item) && Object.keys(item).every((name) => PAIR_FIELDS.has(name)));
    return isPairs ? items.toSorted((a, b) => compare(keyOf(a), keyOf(b))) : items;
  }
  if (!isMessage(value)) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, canonical(inner)] as const);
  return Object.fromEntries(entries.toSorted(([a], [b]) => compare(a, b)));
}

const PAIR_FIELDS = new Set(["key", "value", UNKNOWN]);

function keyOf(pair: NaiveValue): string {
  return isMessage(pair) ? rawText(pair["key"]) : "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
