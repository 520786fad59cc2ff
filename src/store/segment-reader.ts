import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import type { QueryBudget } from "./query-budget.ts";
import { SEGMENT_FORMAT } from "./segment-schema.ts";

/** Pages of one open segment that stay in memory, in KiB. With SEGMENTS_OPEN_MAX of store-reader.ts this bounds a reader at 32 MiB. */
const CACHE_KIB = 1_024;
/** Different statements kept compiled; a story needs about twenty, searches vary with their terms. */
const STATEMENTS_MAX = 48;

export type SqlRow = Readonly<Record<string, SQLOutputValue>>;
export type SqlValue = SQLInputValue;

export type RecordTable = "log" | "span";

/** One segment, open for reading. Every statement runs within the budget of the query at hand. */
export class SegmentReader {
  readonly sequence: number;
  readonly #database: DatabaseSync;
  readonly #budget: QueryBudget;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(sequence: number, database: DatabaseSync, budget: QueryBudget) {
    this.sequence = sequence;
    this.#database = database;
    this.#budget = budget;
  }

  /** Throws SQLite's error where the file is damaged; undefined where it is of another format, or still being created. */
  static open(path: string, sequence: number, budget: QueryBudget): SegmentReader | undefined {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
    try {
      database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
      if (readFormat(database) === SEGMENT_FORMAT) {
        database.function("within_budget", { deterministic: false }, () => budget.check());
        return new SegmentReader(sequence, database, budget);
      }
    } catch (error) {
      database.close();
      throw error;
    }
    database.close();
    return undefined;
  }

  /** All rows. The statement must bound itself with LIMIT; names of tables and columns in it are ours, values are bound. */
  all(sql: string, values: readonly SqlValue[] = []): SqlRow[] {
    this.#budget.check();
    return this.#prepare(sql).all(...values);
  }

  get(sql: string, values: readonly SqlValue[] = []): SqlRow | undefined {
    this.#budget.check();
    return this.#prepare(sql).get(...values);
  }

  /** Microseconds of the earliest and latest record; undefined for none. */
  timeSpan(table: RecordTable): { readonly min: number; readonly max: number } | undefined {
    // Two statements: SQLite answers min and max from the ends of an index only one at a time.
    const min = this.get(`SELECT min(time) AS time FROM ${table}`)?.["time"];
    const max = this.get(`SELECT max(time) AS time FROM ${table}`)?.["time"];
    return typeof min === "number" && typeof max === "number" ? { min, max } : undefined;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear();
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function readFormat(database: DatabaseSync): unknown {
  const isCreated = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").get() !== undefined;
  return isCreated ? database.prepare("SELECT value FROM meta WHERE key = 'format'").get()?.["value"] : undefined;
}
