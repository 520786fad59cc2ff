import { closestName } from "../core/closest-name.ts";
import { attributeToken } from "./attribute-tokens.ts";
import { levelName, SEVERITY_MAX } from "./levels.ts";
import type { Query, SeverityTerm, Term } from "./query-parser.ts";
import { ftsPhrase } from "./query-plan.ts";
import { readJson } from "./record-json.ts";
import type { RecordTable, SegmentReader } from "./segment-reader.ts";
import { isKnownKey, KNOWN_KEYS } from "./spellings.ts";
import type { StoreReader } from "./store-reader.ts";

/** Keys that a "did you mean" is taken from: those of resources, and of this many of the newest records. */
const RESOURCE_TOKENS_MAX = 2_000;
const SAMPLE_RECORDS_MAX = 20;

/** Why nothing matched, where the query itself lets one guess; whole sentences. */
export function hintsForNothing(reader: StoreReader, table: RecordTable, query: Query): string[] {
  const keys = new Set<string>();
  const missing = missingKeys(reader, table, query, keys);
  return query.terms.flatMap((term) => {
    if (term.kind === "attribute") return missing.has(term.key) ? [missingHint(term.key, keys)] : [];
    return termHint(term) ?? [];
  });
}

function termHint(term: Term): string | undefined {
  if (term.kind === "severity") return severityHint(term);
  if (term.kind !== "text" || !isKnownKey(term.text)) return undefined;
  return `"${term.text}" was searched as a word; as a key it is ${term.text}:value. A shell takes > and < for itself: quote them, '${term.text}>=...'`;
}

/** `level>error` is asked by those who mean error too. */
function severityHint({ min, max }: SeverityTerm): string | undefined {
  if (max !== SEVERITY_MAX || min <= 17) return undefined;
  return min > SEVERITY_MAX
    ? "nothing is above fatal; write level:fatal"
    : `this asks for ${levelName(min)} alone; with error it is level>=error`;
}

function missingHint(key: string, keys: ReadonlySet<string>): string {
  const close = closestName(key, [...KNOWN_KEYS, ...keys]);
  const fix = close === undefined ? "" : `; did you mean ${close}?`;
  return `no record has an attribute ${key}${fix}`;
}

/** Of the query's attribute keys those that no record and no resource has; fills `known` with keys that some have. */
function missingKeys(reader: StoreReader, table: RecordTable, query: Query, known: Set<string>): Set<string> {
  const missing = new Set(query.terms.flatMap((term) => (term.kind === "attribute" ? [term.key] : [])));
  if (missing.size === 0) return missing;
  reader.visitSegments((segment) => {
    for (const key of missing) if (hasKey(segment, table, key)) missing.delete(key);
    if (known.size === 0) for (const key of sampleKeys(segment, table)) known.add(key);
  });
  return missing;
}

function hasKey(segment: SegmentReader, table: RecordTable, key: string): boolean {
  const prefix = attributeToken(key, "");
  const inRecords = segment.get(`SELECT 1 FROM ${table}_attr WHERE ${table}_attr MATCH ? AND within_budget() LIMIT 1`, [
    ftsPhrase(prefix, true),
  ]);
  if (inRecords !== undefined) return true;
  const range = [prefix, `${prefix}\u{10ffff}`];
  return segment.get("SELECT 1 FROM resource_token WHERE token >= ? AND token < ? LIMIT 1", range) !== undefined;
}

function sampleKeys(segment: SegmentReader, table: RecordTable): string[] {
  const ids = segment
    .all(`SELECT id FROM ${table} WHERE length(bytes) < 100000 ORDER BY id DESC LIMIT ?`, [SAMPLE_RECORDS_MAX])
    .map((row) => Number(row["id"]));
  const ofRecords = readJson(segment, table, ids).flatMap(({ attributes }) => Object.keys(attributes));
  const tokens = segment.all("SELECT token FROM resource_token LIMIT ?", [RESOURCE_TOKENS_MAX]);
  return [...ofRecords, ...tokens.map((row) => String(row["token"]).split("=", 1)[0] ?? "")];
}
