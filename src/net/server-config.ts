import { z } from "zod";
import { block, duration, optionalText, refuse, secret, withoutEffect } from "../config/types.ts";
import { headersSchema } from "./client-config.ts";
import { checkTlsVersions, tlsVersionKeys } from "./tls-config.ts";

/** Settings that every server shares. Names and defaults are the Collector's (config/configtls, config/confighttp). */

const file = (meaning: string): ReturnType<typeof optionalText> => optionalText().describe(meaning);

const NO_EFFECT_ON_SERVER = "a server reads its clients' authorities from client_ca_file alone";

const tlsBlock = block({
  cert_file: file("PEM file with the certificate, and those that lead from it to its authority."),
  cert_pem: secret().optional().describe("The same as text."),
  key_file: file("PEM file with the certificate's key."),
  key_pem: secret().optional().describe("The same as text."),
  client_ca_file: file(
    "PEM file with the authorities that sign clients' certificates: every client must then have one.",
  ),
  client_ca_file_reload: z
    .boolean()
    .default(false)
    .describe("Read the files again every 10s where there is no reload_interval."),
  reload_interval: duration({ default: "0s" }).describe(
    "Read all files again this often; open connections stay. A broken file is logged, and what was read before stays. 0s: never.",
  ),
  ...tlsVersionKeys,
  ca_file: withoutEffect(z.string().optional(), NO_EFFECT_ON_SERVER).describe("Read for compatibility."),
  ca_pem: withoutEffect(secret().optional(), NO_EFFECT_ON_SERVER).describe("Read for compatibility."),
  include_system_ca_certs_pool: z
    .boolean()
    .default(false)
    .describe("Believe clients of the authorities that the machine knows, too."),
});

export type ServerTlsConfig = z.output<typeof tlsBlock>;

/** `tls` of a server: absent is plain text. */
export const serverTlsSchema = tlsBlock.superRefine((tls, context) => {
  for (const part of ["cert", "key"] as const) {
    const [inFile, inPem] = [tls[`${part}_file`], tls[`${part}_pem`]];
    if (inFile !== undefined && inPem !== undefined) {
      const message = `provide either ${part}_file or ${part}_pem, but not both`;
      refuse(context, { path: [`${part}_pem`], message, fix: "leave one out" });
    } else if (inFile === undefined && inPem === undefined) {
      refuse(context, { message: `a server's tls needs ${part}_file or ${part}_pem`, fix: `add ${part}_file` });
    }
  }
  checkTlsVersions(tls, context);
});

const text = z.string().min(1);

/** `cors` of an HTTP server. */
export const corsSchema = block({
  allowed_origins: z
    .array(text)
    .default([])
    .describe('Whose pages may send: "https://app.example.com", "https://*.example.com", "*". Empty: nobody\'s.'),
  allowed_headers: z
    .array(text)
    .default([])
    .describe('Headers that they may send besides Accept, Content-Type and X-Requested-With; "*" for any.'),
  exposed_headers: z.array(text).default([]).describe("Headers of the answer that they may read."),
  max_age: z.int().min(-1).default(0).describe("Seconds for which a browser keeps the permission. 0: its own choice."),
});

export type CorsConfig = z.output<typeof corsSchema>;

const FRAMING = new Set(["connection", "content-length", "keep-alive", "transfer-encoding", "trailer", "upgrade"]);

/** `response_headers` of an HTTP server. */
export const responseHeadersSchema = headersSchema(
  (name) => (FRAMING.has(name) ? "leave it out: it says where an answer ends, which only the server knows" : undefined),
  "server",
);
