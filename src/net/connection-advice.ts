/**
 * Why a connection failed, in few words, and what to do about it. The reasons come from Node (error codes) and from
 * grpc-js, which passes them on only inside a sentence; so both are recognised by their text.
 */

export interface ConnectionAdvice {
  /** The innermost reason, without the wrapping of the libraries above it. */
  readonly reason: string;
  readonly advice?: string;
}

interface Rule {
  readonly pattern: RegExp;
  readonly grpc: string;
  readonly http: string;
}

const same = (pattern: RegExp, advice: string): Rule => ({ pattern, grpc: advice, http: advice });

/** The first that fits wins: what names a cause stands before what only names an effect. */
const RULES: readonly Rule[] = [
  same(/ECONNREFUSED/, "nothing listens there: check endpoint, and that the backend runs"),
  same(/ENOTFOUND|EAI_AGAIN|Name resolution failed/, "the host's name does not resolve: check endpoint and DNS"),
  same(/EHOSTUNREACH|ENETUNREACH|ETIMEDOUT/, "the network does not lead there: check endpoint, routes and firewalls"),
  {
    pattern: /wrong version number|packet length too long|ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG/i,
    grpc: "the server speaks plaintext: set tls.insecure: true",
    http: "the server speaks plaintext: write http:// in endpoint",
  },
  same(
    /ALTNAME|does not match certificate/i,
    "the server's certificate is for another name: use that name in endpoint, or set tls.server_name_override",
  ),
  same(/CERT_HAS_EXPIRED|certificate has expired/i, "the server's certificate has expired"),
  same(
    /self[- ]signed|SELF_SIGNED|unable to (?:get|verify)|UNABLE_TO_(?:GET|VERIFY)|unknown authority/i,
    "the server's certificate is signed by an authority that is not known here: name its file in tls.ca_file",
  ),
  same(
    /certificate[_ ]required|bad[_ ]certificate|handshake[_ ]failure/i,
    "the server refused the TLS handshake: if it wants a client certificate, set tls.cert_file and tls.key_file",
  ),
  {
    pattern: /Protocol error|HPE_|Parse Error/,
    grpc: "the server does not speak HTTP/2: is this its OTLP/HTTP port? OTLP/gRPC is usually 4317",
    http: "the server does not speak HTTP/1.1: is this its OTLP/gRPC port? OTLP/HTTP is usually 4318",
  },
  {
    pattern: /Failed to connect|socket hang up/,
    grpc: "the server closed the connection before HTTP/2 began: if it wants TLS, remove tls.insecure or http://",
    http: "the server closed the connection without an answer: if it wants TLS, write https:// in endpoint",
  },
];

export function adviseOnConnection(thrown: unknown, protocol: "grpc" | "http"): ConnectionAdvice {
  const text = describe(thrown);
  const rule = RULES.find(({ pattern }) => pattern.test(text));
  const reason = shorten(text);
  return rule === undefined ? { reason } : { reason, advice: rule[protocol] };
}

/** An AggregateError (several addresses tried) has an empty message; its first error speaks for all. */
function describe(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === "") return describe(thrown.errors[0]);
  if (!(thrown instanceof Error)) return String(thrown);
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : "";
  return code === "" || thrown.message.includes(code) ? thrown.message : `${thrown.message} (${code})`;
}

/**
 * grpc-js: "round_robin: No connection established. Last error: No connection established. Last error: Error: connect
 * ECONNREFUSED 127.0.0.1:1. Resolution note: ". OpenSSL: "404DE7:error:0A00010B:SSL routines:f:wrong version number:file:77:".
 */
function shorten(text: string): string {
  const [reason = text] = text.split("Last error: ").slice(-1);
  return reason
    .replace(/\.? Resolution note:.*$/s, "")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, "")
    .replace(/^(?:\w*Error(?: \[\w+\])?: )+/, "")
    .replace(/^[0-9A-F]+:error:[0-9A-F]+:[^:]*:[^:]*:([^:]*):[\s\S]*$/, "$1")
    .replace(/; if the root CA is installed locally.*$/s, "")
    .trim();
}
