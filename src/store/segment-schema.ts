/**
 * One segment is one SQLite file:
 *
 *   meta            key -> value: format version, sequence, newest arrival
 *   resource, scope their OTLP bytes once each, found by SHA-256; records point at them
 *   resource_token  the resource's attributes as `key=value` tokens
 *   origin          who speaks: machine, worker, service; records point at it, with the times it was seen
 *   log, span       one row a record: what is looked up by index, and the record's OTLP bytes as they came
 *   metric, point   a metric's OTLP bytes whole; one row a data point
 *   *_text          full text over bodies (contentless: the text itself is in the bytes)
 *   *_attr          attributes as `key=value` tokens (contentless, no positions)
 *   minute_count    records per minute, signal, origin and severity
 *
 * Times are microseconds since the epoch: they fit a JavaScript number until 2255; the nanoseconds are in the bytes.
 * Times a sender left unset are the arrival's.
 */
export const SEGMENT_FORMAT = 1;

/** From warn on a record stands in an index of its own: what one looks for is a small part of what there is. */
export const PROBLEM_SEVERITY_MIN = 13;

export const MICROS_PER_MINUTE = 60_000_000;

const RECORD_COLUMNS = `
  id INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  resource INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  trace_id TEXT,
  span_id TEXT,
  job_id TEXT,
  duration_ms REAL,
  bytes BLOB NOT NULL`;

// The attribute tokens: ASCII folds A-Z only, and with all printable punctuation declared as letters nothing but
// whitespace separates, which attribute-tokens.ts never leaves inside a token.
const ATTRIBUTE_TOKENIZER = `tokenize="ascii tokenchars '!""#$%&''''()*+,-./:;<=>?@[\\]^_\`{|}~'"`;

function recordTable(table: "log" | "span", ownColumns: string): string {
  return `
CREATE TABLE ${table} (${RECORD_COLUMNS}${ownColumns});
CREATE INDEX ${table}_time ON ${table} (time);
CREATE INDEX ${table}_origin ON ${table} (origin, time);
CREATE INDEX ${table}_problem ON ${table} (time) WHERE severity >= ${PROBLEM_SEVERITY_MIN};
CREATE INDEX ${table}_job ON ${table} (job_id, time) WHERE job_id IS NOT NULL;
CREATE INDEX ${table}_trace ON ${table} (trace_id, time) WHERE trace_id IS NOT NULL;
CREATE VIRTUAL TABLE ${table}_text USING fts5(body, content='', columnsize=0, tokenize='unicode61');
CREATE VIRTUAL TABLE ${table}_attr USING fts5(tokens, content='', columnsize=0, detail=none, ${ATTRIBUTE_TOKENIZER});`;
}

export const SEGMENT_DDL = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
CREATE TABLE resource (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, schema_url TEXT NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE scope (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, schema_url TEXT NOT NULL, bytes BLOB NOT NULL);
CREATE TABLE resource_token (token TEXT NOT NULL, resource INTEGER NOT NULL, PRIMARY KEY (token, resource)) WITHOUT ROWID;
CREATE TABLE origin (
  id INTEGER PRIMARY KEY,
  machine_id TEXT, worker_id TEXT, service_type TEXT, service_name TEXT, instance_id TEXT,
  first_time INTEGER NOT NULL, last_time INTEGER NOT NULL
);
${recordTable("log", "")}
CREATE INDEX log_duration ON log (time) WHERE duration_ms IS NOT NULL;
${recordTable("span", ", end_time INTEGER NOT NULL, parent_span_id TEXT")}
CREATE TABLE metric (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, unit TEXT NOT NULL,
  origin INTEGER NOT NULL, resource INTEGER NOT NULL, scope INTEGER NOT NULL, bytes BLOB NOT NULL
);
CREATE INDEX metric_name ON metric (name);
CREATE TABLE point (id INTEGER PRIMARY KEY, metric INTEGER NOT NULL, time INTEGER NOT NULL, value REAL);
CREATE INDEX point_metric ON point (metric, time);
CREATE TABLE minute_count (
  minute INTEGER NOT NULL, signal TEXT NOT NULL, origin INTEGER NOT NULL, severity INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (minute, signal, origin, severity)
) WITHOUT ROWID;
`;
