/** What stands at `/`: plain text, so that a browser and curl show the same. */
export const START_PAGE = `Signalbox: the embedded store

GET /api/logs?q=QUERY&from=-15m&to=&limit=100      log records, newest first; "next" is the cursor= of the next page
GET /api/logs/RECORD_ID                            one record, with the OTLP it came as
GET /api/spans?q=QUERY&from=-15m                   spans, newest first
GET /api/traces/TRACE_ID                           one trace as OTLP JSON (format=records: flat)
GET /api/jobs/JOB_ID                               a job's story: verdict, attempts, spans, lines, neighbours
GET /api/machines?from=-1h                         machines, their workers, what they sent, what failed

A query, all of whose terms must hold:

  machine_id:"railway-abc123" service_type:comfyui level:error "model load failed"

  key:value  key:"a b"  key:pre*  key:*  level>=warn  duration_ms>=1500  word  "words together"

On the command line: signalbox logs QUERY, signalbox trace TRACE_ID, signalbox job JOB_ID
`;
