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
    covers: /^service\/.*\/config_deprecated_address(_and_readers)?\.yaml$/,
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
    covers: /^(number|duration): \$\{env:V\}, V="(012|0b11|1_000)"$/,
    source: "YAML 1.2.2, section 10.3.2; the OpenTelemetry data model: SHOULD be parsed using v1.2 YAML core schema",
    reason:
      "012 is twelve, and what is written with an underscore or as 0b is a text; Go's parser reads YAML 1.1 here.",
  },
  {
    covers:
      /^(number: \$\{env:V\}, V="1\.5"|duration: \$\{env:V\}, V="(123|0o17|0x1F|1\.5|1e3)"|duration: \$\{env:UNSET:-5\})$/,
    source: "core#9532: implicit conversions between types are too lax",
    reason: "A bare number as a duration would be nanoseconds, which nobody means; half a consumer is a mistake.",
  },
];

export const SOURCE_FORM = /\b(core|contrib)#\d+|^RFC \d+, section|^OpenTelemetry specification|^YAML 1\.2/;
