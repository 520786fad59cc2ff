import { hash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import type { StatementSync } from "node:sqlite";
import type { Signal } from "../core/signal.ts";
import type { Origin } from "./origin.ts";
import type { MetricRow, RecordRow, ResourceRow, Rows, SharedPiece, SpanRow } from "./rows.ts";
import { createSegmentFile, isClosedSegment, segmentFileSize } from "./segment-folder.ts";
import { MICROS_PER_MINUTE, SEGMENT_DDL, SEGMENT_FORMAT } from "./segment-schema.ts";

/** Pages of the segment being written that stay in memory, in KiB. The hot ends of its indexes take about 2 MiB. */
const CACHE_KIB = 8_192;

/**
 * The segment that is being written. All methods are synchronous and belong to the writer thread.
 *
 * WAL with synchronous=NORMAL: a commit survives the death of the process; a power cut may lose the last commits, never
 * the file. That is enough for a destination that stands beside the real one, and saves two disk syncs a batch.
 */
export class SegmentWriter {
  readonly path: string;
  readonly sequence: number;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  #batch = new OpenBatch();
  #firstArrivalMs: number;
  #lastArrivalMs: number;

  private constructor(path: string, sequence: number, database: DatabaseSync) {
    this.path = path;
    this.sequence = sequence;
    this.#database = database;
    this.#statements = prepareStatements(database);
    this.#firstArrivalMs = Number(readMeta(database, "first_arrival_ms") ?? 0);
    this.#lastArrivalMs = Number(readMeta(database, "last_arrival_ms") ?? 0);
  }

  static create(path: string, sequence: number): SegmentWriter {
    createSegmentFile(path);
    const database = openForWriting(path);
    database.exec(`BEGIN; ${SEGMENT_DDL}`);
    const meta = database.prepare("INSERT INTO meta (key, value) VALUES (?, ?)");
    meta.run("format", SEGMENT_FORMAT);
    meta.run("sequence", sequence);
    database.exec("COMMIT");
    return new SegmentWriter(path, sequence, database);
  }

  /** Goes on with a segment of an earlier run. Throws SQLite's error where it is damaged; undefined where it is not whole, or not of our format. */
  static reopen(path: string, sequence: number): SegmentWriter | undefined {
    const wasClosed = isClosedSegment(path);
    const database = openForWriting(path);
    try {
      const isOurs = readMeta(database, "format") === SEGMENT_FORMAT;
      if (isOurs && (wasClosed ? isWholeFile(database, path) : isSound(database))) {
        return new SegmentWriter(path, sequence, database);
      }
    } catch (error) {
      database.close();
      throw error;
    }
    database.close();
    return undefined;
  }

  /** Stores one request's rows: all of them or, when it throws, none. Returns how many. */
  append<S extends Signal>(signal: S, rows: Iterable<Rows[S]>, arrivalMs: number): number {
    this.#database.exec("BEGIN IMMEDIATE");
    this.#batch = new OpenBatch();
    try {
      let count = 0;
      for (const row of rows) count += this.#insert(signal, row);
      this.#flushBatch(arrivalMs);
      this.#database.exec("COMMIT");
      this.#firstArrivalMs = this.#firstArrivalMs === 0 ? arrivalMs : Math.min(this.#firstArrivalMs, arrivalMs);
      this.#lastArrivalMs = Math.max(this.#lastArrivalMs, arrivalMs);
      return count;
    } catch (error) {
      // SQLite ends the transaction itself on some errors (full disk), and a second ROLLBACK would hide the first error.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Milliseconds since the epoch of the newest arrival, 0 for an empty segment. */
  get lastArrivalMs(): number {
    return this.#lastArrivalMs;
  }

  /** Milliseconds since the epoch of the first arrival, 0 for an empty segment. */
  get firstArrivalMs(): number {
    return this.#firstArrivalMs;
  }

  /** Moves the write-ahead log into the file and closes it; nothing of a sealed segment changes any more. */
  close(): void {
    try {
      this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } finally {
      this.#database.close();
    }
  }

  /** Closes a segment that cannot be trusted: without touching its contents again. */
  abandon(): void {
    this.#database.close();
  }

  #insert(signal: Signal, row: Rows[Signal]): number {
    const ids = this.#resolveShared(row);
    if (signal === "metrics") return this.#insertMetric(row as MetricRow, ids);
    if (signal === "traces") this.#insertSpan(row as SpanRow, ids);
    else this.#insertRecord("log", row as RecordRow, ids, []);
    return 1;
  }

  #insertSpan(span: SpanRow, ids: SharedIds): void {
    this.#insertRecord("span", span, ids, [span.endTime, span.parentSpanId || null]);
  }

  #insertRecord(table: "log" | "span", row: RecordRow, ids: SharedIds, own: readonly (number | string | null)[]): void {
    const statements = this.#statements[table];
    const { lastInsertRowid: id } = statements.record.run(
      row.time, row.severity, ids.origin, ids.resource, ids.scope,
      row.traceId || null, row.spanId || null, row.jobId || null, row.durationMs ?? null, row.bytes, ...own,
    ); // prettier-ignore
    if (row.text !== "") statements.text.run(id, row.text);
    if (row.tokens.length > 0) statements.tokens.run(id, row.tokens.join(" "));
    this.#batch.count(table === "log" ? "logs" : "traces", ids.origin, row.severity, row.time, 1);
  }

  #insertMetric(row: MetricRow, ids: SharedIds): number {
    const { metric, point } = this.#statements;
    const added = metric.run(row.name, row.type, row.unit, ids.origin, ids.resource, ids.scope, row.bytes);
    for (const { time, value } of row.points) {
      point.run(added.lastInsertRowid, time, value ?? null);
      this.#batch.count("metrics", ids.origin, 0, time, 1);
    }
    return row.points.length;
  }

  #resolveShared(row: Rows[Signal]): SharedIds {
    return {
      resource: remembered(this.#batch.resources, row.resource, () => this.#resolveResource(row.resource)),
      scope: remembered(this.#batch.scopes, row.scope, () => this.#resolvePiece(this.#statements.scope, row.scope).id),
      origin: remembered(this.#batch.origins, row.origin, () => this.#resolveOrigin(row.origin)),
    };
  }

  #resolveResource(resource: ResourceRow): number {
    const { id, isNew } = this.#resolvePiece(this.#statements.resource, resource);
    if (isNew) for (const token of new Set(resource.tokens)) this.#statements.resourceToken.run(token, id);
    return id;
  }

  #resolvePiece(statements: PieceStatements, piece: SharedPiece): { id: number; isNew: boolean } {
    const digest = hash("sha256", Buffer.concat([Buffer.from(`${piece.schemaUrl}\0`), piece.bytes]), "buffer");
    const known = statements.find.get(digest);
    if (known !== undefined) return { id: Number(known["id"]), isNew: false };
    const added = statements.insert.run(digest, piece.schemaUrl, piece.bytes);
    return { id: Number(added.lastInsertRowid), isNew: true };
  }

  #resolveOrigin(origin: Origin): number {
    const names = [origin.machineId, origin.workerId, origin.serviceType, origin.serviceName, origin.instanceId];
    const key = names.join("\0");
    const seen = this.#batch.originIds.get(key);
    if (seen !== undefined) return seen;
    const known = this.#statements.origin.find.get(...names.map((name) => name || null));
    const id = known === undefined ? this.#insertOrigin(names) : Number(known["id"]);
    this.#batch.originIds.set(key, id);
    return id;
  }

  #insertOrigin(names: readonly string[]): number {
    return Number(this.#statements.origin.insert.run(...names.map((name) => name || null)).lastInsertRowid);
  }

  /** What is written once a batch instead of once a record. */
  #flushBatch(arrivalMs: number): void {
    const { minuteCount, originSeen, meta } = this.#statements;
    for (const { minute, signal, origin, severity, count } of this.#batch.counts.values()) {
      minuteCount.run(minute, signal, origin, severity, count);
    }
    for (const [origin, { first, last }] of this.#batch.seen) originSeen.run(first, last, origin);
    meta.run("first_arrival_ms", arrivalMs, "min");
    meta.run("last_arrival_ms", arrivalMs, "max");
  }
}

interface SharedIds {
  readonly resource: number;
  readonly scope: number;
  readonly origin: number;
}

/**
 * What one transaction has looked up and counted so far. It is thrown away with the transaction: an id that was
 * rolled back must not be used by the next one.
 */
class OpenBatch {
  // Rows of one resource share the same object, so identity saves hashing its bytes for every record.
  readonly resources = new Map<object, number>();
  readonly scopes = new Map<object, number>();
  readonly origins = new Map<object, number>();
  readonly originIds = new Map<string, number>();
  readonly counts = new Map<
    string,
    { minute: number; signal: Signal; origin: number; severity: number; count: number }
  >();
  readonly seen = new Map<number, { first: number; last: number }>();

  count(signal: Signal, origin: number, severity: number, time: number, count: number): void {
    const minute = Math.floor(time / MICROS_PER_MINUTE);
    const key = `${minute} ${signal} ${origin} ${severity}`;
    const known = this.counts.get(key);
    if (known === undefined) this.counts.set(key, { minute, signal, origin, severity, count });
    else known.count += count;
    const seen = this.seen.get(origin);
    if (seen === undefined) this.seen.set(origin, { first: time, last: time });
    else [seen.first, seen.last] = [Math.min(seen.first, time), Math.max(seen.last, time)];
  }
}

function remembered(known: Map<object, number>, key: object, resolve: () => number): number {
  let id = known.get(key);
  if (id === undefined) known.set(key, (id = resolve()));
  return id;
}

function openForWriting(path: string): DatabaseSync {
  // Readers never block the writer under WAL; the wait is for another process that looks at the file with a tool.
  const database = new DatabaseSync(path, { timeout: 2_000 });
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${CACHE_KIB}`);
  return database;
}

function readMeta(database: DatabaseSync, key: string): unknown {
  return database.prepare("SELECT value FROM meta WHERE key = ?").get(key)?.["value"];
}

/** After a kill: reads the whole segment, which takes about a quarter of a second for the largest. */
function isSound(database: DatabaseSync): boolean {
  return database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"] === "ok";
}

/** After a proper end: nothing was being written, so only what happened to the file itself is looked for. */
function isWholeFile(database: DatabaseSync, path: string): boolean {
  const pages = database.prepare("PRAGMA page_count").get()?.["page_count"];
  const pageSize = database.prepare("PRAGMA page_size").get()?.["page_size"];
  return Number(pages) * Number(pageSize) === segmentFileSize(path);
}

interface PieceStatements {
  readonly find: StatementSync;
  readonly insert: StatementSync;
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(database: DatabaseSync) {
  const piece = (table: string): PieceStatements => ({
    find: database.prepare(`SELECT id FROM ${table} WHERE hash = ?`),
    insert: database.prepare(`INSERT INTO ${table} (hash, schema_url, bytes) VALUES (?, ?, ?)`),
  });
  const record = (table: string, ownColumns: readonly string[]) => {
    const columns = [
      "time",
      "severity",
      "origin",
      "resource",
      "scope",
      "trace_id",
      "span_id",
      "job_id",
      "duration_ms",
      "bytes",
      ...ownColumns,
    ];
    return {
      record: database.prepare(
        `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
      ),
      text: database.prepare(`INSERT INTO ${table}_text (rowid, body) VALUES (?, ?)`),
      tokens: database.prepare(`INSERT INTO ${table}_attr (rowid, tokens) VALUES (?, ?)`),
    };
  };
  const identity = ["machine_id", "worker_id", "service_type", "service_name", "instance_id"];
  return {
    resource: piece("resource"),
    scope: piece("scope"),
    resourceToken: database.prepare("INSERT INTO resource_token (token, resource) VALUES (?, ?)"),
    log: record("log", []),
    span: record("span", ["end_time", "parent_span_id"]),
    metric: database.prepare(
      "INSERT INTO metric (name, type, unit, origin, resource, scope, bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ),
    point: database.prepare("INSERT INTO point (metric, time, value) VALUES (?, ?, ?)"),
    origin: {
      find: database.prepare(`SELECT id FROM origin WHERE ${identity.map((name) => `${name} IS ?`).join(" AND ")}`),
      insert: database.prepare(
        `INSERT INTO origin (${identity.join(", ")}, first_time, last_time) VALUES (?, ?, ?, ?, ?, 9007199254740991, 0)`,
      ),
    },
    originSeen: database.prepare(
      "UPDATE origin SET first_time = min(first_time, ?), last_time = max(last_time, ?) WHERE id = ?",
    ),
    minuteCount: database.prepare(
      "INSERT INTO minute_count VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
    ),
    meta: database.prepare(
      `INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = CASE ?3 WHEN 'min' THEN min(value, ?2) ELSE max(value, ?2) END`,
    ),
  };
}
