import { z } from "zod";
import { annotate, block, duration, optionalText, refuse, secret, secretMap } from "../config/types.ts";
import type { Secret } from "../config/types.ts";
import { checkTlsVersions, tlsVersionKeys } from "./tls-config.ts";

/** The settings that every client towards a backend shares: TLS and headers. Names and defaults are the Collector's. */

/**
 * A setting of the Collector's that is not there yet: refused with a sentence, instead of as a mistyped key. What sets
 * nothing, a key that stands alone or an empty list, is no use of it.
 * `extensions`: the kind of extension that it names, where none exists yet.
 */
export function notYet(instead: string, extensions?: string): z.ZodOptional<z.ZodUnknown> {
  const message =
    extensions === undefined ? "is not supported yet" : `names an ${extensions} extension, and none exists yet`;
  const schema = z
    .unknown()
    .optional()
    .superRefine((value, context) => {
      const isEmpty = value === undefined || value === null || (Array.isArray(value) && value.length === 0);
      if (!isEmpty) refuse(context, { message, fix: instead });
    });
  return annotate(schema, { type: "none" });
}

const tlsBlock = block({
  insecure: z.boolean().default(false).describe("Plain text instead of TLS. A scheme in the endpoint decides instead."),
  insecure_skip_verify: z.boolean().default(false).describe("TLS, but any certificate of the server is believed."),
  server_name_override: optionalText().describe("The name that the server's certificate must carry."),
  ca_file: optionalText().describe("PEM file with the authorities that may sign the server's certificate."),
  ca_pem: secret().optional().describe("The same as text."),
  include_system_ca_certs_pool: z
    .boolean()
    .default(false)
    .describe("Believe the authorities that the machine knows, too."),
  cert_file: optionalText().describe("PEM file with our certificate, where the server asks for one."),
  cert_pem: secret().optional().describe("The same as text."),
  key_file: optionalText().describe("PEM file with the key of our certificate."),
  key_pem: secret().optional().describe("The same as text."),
  ...tlsVersionKeys,
  reload_interval: duration({ positive: true })
    .optional()
    .describe("How often the files are read again; connections from then on use what is new. Default: never."),
});

export type ClientTlsConfig = z.output<typeof tlsBlock>;

const PAIRS = [
  ["ca_file", "ca_pem"],
  ["cert_file", "cert_pem"],
  ["key_file", "key_pem"],
] as const;

function checkTls(tls: ClientTlsConfig, context: z.core.$RefinementCtx): void {
  for (const [file, pem] of PAIRS) {
    if (tls[file] === undefined || tls[pem] === undefined) continue;
    refuse(context, { path: [pem], message: `provide either ${file} or ${pem}, but not both`, fix: "leave one out" });
  }
  const hasCertificate = tls.cert_file !== undefined || tls.cert_pem !== undefined;
  const hasKey = tls.key_file !== undefined || tls.key_pem !== undefined;
  if (hasCertificate !== hasKey) {
    const message = "for auth via TLS, provide both certificate and key, or neither";
    const present = (["cert_file", "cert_pem", "key_file", "key_pem"] as const).find((key) => tls[key] !== undefined);
    refuse(context, { path: [present!], message, fix: hasCertificate ? "add key_file" : "add cert_file" });
  }
  checkTlsVersions(tls, context);
}

/** `tls` of a client. */
export const clientTlsSchema = tlsBlock.superRefine(checkTls).prefault({});

// What gRPC takes; HTTP alone would allow a few signs more, which nobody uses.
const HEADER_NAME = /^[A-Za-z0-9_.-]+$/;
// Visible ASCII and spaces: what HTTP/1.1, HTTP/2 and gRPC all carry as it is.
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;

/** The value as it is sent. A line break behind a token is what a file or a variable left there, never meant. */
export function headerValue(value: Secret): string {
  return value.reveal().trim();
}

/** Of a header (its name in lower case) that the protocol itself sends: what to do instead of writing it. */
export type ReservedHeaders = (name: string) => string | undefined;

/**
 * `headers` of a client, or of a server's answers. Values are checked without being shown: Node's own error would name
 * the header only when a request is sent. `owner` is who sets those that are reserved.
 */
export function headersSchema(reserved: ReservedHeaders, owner = "exporter"): ReturnType<typeof secretMap> {
  return secretMap().superRefine((headers, context) => {
    for (const [name, value] of Object.entries(headers)) {
      const problem = headerProblem(name, headerValue(value), reserved, owner);
      if (problem !== undefined) refuse(context, { path: [name], ...problem });
    }
  });
}

interface HeaderProblem {
  readonly message: string;
  readonly fix: string;
}

function headerProblem(
  name: string,
  value: string,
  reserved: ReservedHeaders,
  owner: string,
): HeaderProblem | undefined {
  if (!HEADER_NAME.test(name)) {
    return { message: "is no header name", fix: 'write letters, digits and "-", such as "X-Tenant"' };
  }
  const fix = reserved(name.toLowerCase());
  if (fix !== undefined) return { message: `is set by the ${owner} itself`, fix };
  if (HEADER_VALUE.test(value)) return undefined;
  return {
    message: "its value holds a character that no header can carry",
    fix: "use printable ASCII; look for line breaks and quotes that a variable brought along",
  };
}

/** Headers as they are sent, by name as written. */
export function revealHeaders(headers: Readonly<Record<string, Secret>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, headerValue(value)]));
}
