/**
 * Where we answer otherwise than the Collector, on purpose. Each needs a sentence of a specification or an upstream issue
 * ("core#" is open-telemetry/opentelemetry-collector); one that no case shows any more fails the test, like a difference
 * that is not here.
 */
export interface Difference {
  /** The ids of the cases that it covers. */
  readonly covers: RegExp;
  readonly source: string;
  readonly reason: string;
}

const SUBSTITUTION = "OpenTelemetry specification, configuration/data-model, environment variable substitution";

export const DIFFERENCES: readonly Difference[] = [
  {
    covers: /^otlp_http: .*compression: lz4 \}$/,
    source: "OpenTelemetry specification, protocol/exporter: gzip is the only specified compression method for now",
    reason: "Node has no encoder for lz4, and zstd is smaller at its speed; it is read by the receiver all the same.",
  },
  {
    covers: /^otlp_http: \{ endpoint: "localhost" \}$/,
    source: 'RFC 9110, section 4.2.1: http-URI = "http" "://" authority path-abempty',
    reason: "Without a scheme nothing can be sent there: the Collector takes it and fails at each request.",
  },
  {
    covers: /^exporter\/otlp(http)?exporter\/testdata\/config\.yaml$/,
    source: "RFC 9110, section 5.1: field-name = token",
    reason:
      "A header name with spaces and a question mark cannot be sent: the Collector takes it and fails at each request.",
  },
  {
    covers: /^service\/.*\/config_deprecated_address(_and_readers)?\.yaml$|metrics: \{address: 'localhost:8888'\}/,
    source: "core#11205",
    reason:
      "metrics.address was taken out upstream after a deprecation; files that have it are many, and it says the same.",
  },
  {
    covers: /^text: .*V="line\\nbreak"$/,
    source: "RFC 9110, section 5.5: field values containing CR, LF, or NUL characters are invalid and dangerous",
    reason: "Such a header cannot be sent: the Collector takes it and fails at each request.",
  },
  {
    covers: /^text: \$\{env:UNSET:-\$\{env:V\}\}, V=".*\$.*"$/,
    source: `${SUBSTITUTION}: DEFAULT-VALUE = *(VCHAR-WSP-NO-RBRACE)`,
    reason: "A dollar sign is a character like any other in a default, also where a password brings it along.",
  },
  {
    covers: /^(number|duration): (\$\{env:V\}, V="(null|~|# comment|)"|\$\{(env:)?UNSET\})$/,
    source: "core#10949 and core#10950: the field would need to be unset for its default to stay",
    reason: "A variable that is not set, or holds nothing, leaves a setting at its default instead of making it zero.",
  },
  {
    covers: /^(number|duration): \$\{env:V\}, V="(012|0b11|1_000)"$|send_batch_size: 1_000\}$/,
    source: "YAML 1.2.2, section 10.3.2; the OpenTelemetry data model: SHOULD be parsed using v1.2 YAML core schema",
    reason:
      "012 is twelve, and what is written with an underscore or as 0b is a text; Go's parser reads YAML 1.1 here.",
  },
  {
    covers:
      /(max_recv_msg_size_mib: 2\.5|max_connection_age: 10|timeout: 5|limit_percentage: 50\.5|verbosity: 1)\}*$|^(number: \$\{env:V\}, V="1\.5"|duration: \$\{env:V\}, V="(123|0o17|0x1F|1\.5|1e3)"|duration: \$\{env:UNSET:-5\})$/,
    source: "core#9532: implicit conversions between types are too lax",
    reason: "A bare number as a duration would be nanoseconds, which nobody means; half a consumer is a mistake.",
  },
  {
    covers: /(^whole multi doc$|^top ---)/,
    source: "YAML 1.2.2, section 9.2: a stream consists of zero or more documents",
    reason: "The Collector reads the first document and says nothing of the others, which somebody wrote to be read.",
  },
  {
    covers: /^whole hdr (date|binary)$|^whole custom tag$/,
    source: "YAML 1.2.2, section 10.3: the core schema, which has neither timestamps nor binary data",
    reason: "A date is a text; a tag that nobody resolves is reported, where Go's parser drops it.",
  },
  {
    covers: /: \{grpc: \{endpoint: '(localhost:http)?'\}\}\}$|transport: unixpacket/,
    source: "decision: src/config/README.md",
    reason:
      "A port that nobody knows, by the Collector's empty endpoint, receives nothing; Node looks up no service names.",
  },
  {
    covers: /max_recv_msg_size_mib: 9999999|max_concurrent_streams: 4294967296|compression_algorithms: \[br\]/,
    source: "decision: src/config/README.md",
    reason: "What one request and one connection may hold is bounded; a coding that cannot be read is not offered.",
  },
  {
    covers:
      /(max_connection_age: -10s|max_request_body_size: -1|reload_interval: -1s|timeout: -3s|sampling_initial: -1)\}+$/,
    source: "decision: src/config/README.md",
    reason: "No negative time or amount means anything; the Collector takes each for its default, or for none at all.",
  },
  {
    covers: /max_request_body_size: (20MiB|'1000')|queue_size: 10MiB/,
    source: "decision: src/config/README.md",
    reason: "Sizes take units here. A file without them is read by both.",
  },
  {
    covers: /\{grpc: \{tls: \}\}/,
    source: "decision: src/config/README.md",
    reason: "The Collector serves plain text where `tls:` stands alone, whose keys were perhaps commented out.",
  },
  {
    covers: /logs_url_path: \/v1\/traces/,
    source: "decision: src/config/README.md",
    reason: "Which signal such a request has is open; the Collector panics once both signals have a pipeline.",
  },
  {
    covers: /profiles_url_path/,
    source: "decision: src/config/README.md",
    reason: "Read with a warning, so that one file serves Collectors with profiles as well.",
  },
  {
    covers: /passthrough:/,
    source: "gRPC, doc/naming.md: dns and unix are the schemes that clients have; passthrough is Go's own",
    reason: "grpc-js has no such scheme, and `host:port` is the same.",
  },
  {
    covers: /endpoint: '(localhost|http:\/\/a):99999'/,
    source: "RFC 9293, section 3.1: the port is a 16-bit field",
    reason: "Nothing can be sent there: the Collector takes it and fails at each request.",
  },
  {
    covers: /headers: \{a: null\}/,
    source: "core#10949: what stands for nothing should be told from a value",
    reason: "A header without a value is mostly a token that is missing.",
  },
  {
    covers: /headers: \{'(a b|:authority)'/,
    source: "RFC 9110, section 5.1: field-name = token",
    reason: "No such header can be sent: the Collector takes it and fails at each request.",
  },
  {
    covers: /headers: \{'grpc-x'/,
    source: 'gRPC, doc/PROTOCOL-HTTP2.md: names that begin with "grpc-" are reserved for future use by gRPC',
    reason: "What such a name means is gRPC's to say, today or later.",
  },
  {
    covers: /min_version: '1\.[01]'/,
    source: "RFC 8996, section 4 and 5: TLS 1.0 and 1.1 MUST NOT be used",
    reason: "Node's OpenSSL refuses every suite of theirs.",
  },
  {
    covers: /metadata_keys: \[''\]/,
    source: "RFC 9110, section 5.1: field-name = token",
    reason: "No header has an empty name, so it keeps nothing apart.",
  },
  {
    covers: /multiplier: 0\}/,
    source: "OpenTelemetry specification, protocol/exporter: retry with exponential backoff",
    reason: "With a multiplier below 1 waits shrink, to none at all with 0, beside a backend in trouble.",
  },
  {
    covers: /^exporters\.otlp_http \{(logs_)?endpoint: '(a:1|a|ftp:\/\/a|http:\/\/)'\}$/,
    source: 'RFC 9110, section 4.2.1: http-URI = "http" "://" authority path-abempty, its host not empty',
    reason: "Nothing can be sent there: the Collector takes it and fails at each request.",
  },
  {
    covers: /endpoint: 'https:\/\/a\/p\?x=y'/,
    source: "OpenTelemetry specification, protocol/exporter: the signal's path is appended to the base URL",
    reason: "Behind a query it is no path: the Collector sends to /p?x=y/v1/logs.",
  },
  {
    covers: /endpoint: 'http:\/\/user:pw@a'/,
    source: "RFC 9110, section 4.2.4: a sender MUST NOT generate the userinfo subcomponent",
    reason: "A password in an address is shown in every message that names it.",
  },
  {
    covers: /compression_params: \{level: (-2|23)\}/,
    source: "decision: src/config/README.md",
    reason: "Levels are those of zlib and zstd; -2 is Go's own, and above 22 there is none.",
  },
  {
    covers: /proxy_url: '(socks5:\/\/)?p:1'/,
    source: "decision: src/config/README.md",
    reason: "No SOCKS proxies, and no URL without a scheme, which the Collector takes and fails at each request.",
  },
  {
    covers: /^exporters\.debug \{output_paths: /,
    source: "decision: src/config/README.md",
    reason: "use_internal_logger is off by default here, so that output_paths alone is no contradiction.",
  },
  {
    covers: /exporter: \{console: |pull: \{\}, periodic: |temporality_preference: delta/,
    source: "decision: src/config/README.md",
    reason:
      "Own metrics go to a page for Prometheus, or cumulatively by OTLP; a reader without an exporter reads nothing.",
  },
];

/** A decision of ours names the text in which a user finds it. */
export const SOURCE_FORM =
  /\b(core|contrib)#\d+|^RFC \d+, section|^OpenTelemetry specification|^YAML 1\.2|^gRPC, doc\/|^decision: src\/config\/README\.md$/;
