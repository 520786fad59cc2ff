import { z } from "zod";
import { annotate, block, optionalBlock, optionalText, refuse } from "../config/types.ts";
import { CIPHER_SUITE_NAMES, CURVE_NAMES } from "./tls-choices.ts";

/** What `tls` has at a server and at a client alike: above all which TLS is spoken. Names and defaults are the Collector's. */

const TLS_VERSIONS = ["1.2", "1.3"] as const;

// Node's OpenSSL has 1.0 and 1.1 compiled in, and its security level refuses every suite of theirs.
const tlsVersion = annotate(z.enum([...TLS_VERSIONS, ""]), {
  type: TLS_VERSIONS.map((version) => `\`${version}\``).join(", "),
  fix: 'write "1.2" or "1.3", in quotes; Node speaks nothing older at its level of security',
});

/** Files of the Collector name it to say that there is none. */
const tpmBlock = block({
  enabled: z.boolean().default(false).describe("Refused where true."),
  path: optionalText().describe("Read for compatibility."),
  owner_auth: optionalText().describe("Read for compatibility."),
  auth: optionalText().describe("Read for compatibility."),
}).superRefine(({ enabled }, context) => {
  const message = "keys in a TPM are not supported";
  if (enabled) refuse(context, { path: ["enabled"], message, fix: "leave tpm out, and name the key with key_file" });
});

export const tlsVersionKeys = {
  min_version: tlsVersion
    .transform((version) => version || "1.2")
    .prefault("1.2")
    .describe("The oldest TLS that is spoken."),
  max_version: tlsVersion
    .transform((version) => version || undefined)
    .optional()
    .describe("The newest TLS that is spoken; default: the newest there is."),
  cipher_suites: z
    .array(nameOf("a cipher suite", CIPHER_SUITE_NAMES))
    .default([])
    .describe("Suites of TLS 1.2, by Go's names. Empty: Node's; those of TLS 1.3 are always on."),
  curve_preferences: z
    .array(nameOf("a curve", CURVE_NAMES))
    .default([])
    .describe(`Curves, best first: ${CURVE_NAMES.join(", ")}. Empty: OpenSSL's.`),
  tpm: annotate(optionalBlock(tpmBlock), { type: "none" }).describe(
    "Keys in a TPM are not supported; `enabled: false` is.",
  ),
};

interface TlsVersions {
  readonly min_version: string;
  readonly max_version?: string | undefined;
}

export function checkTlsVersions(tls: TlsVersions, context: z.core.$RefinementCtx): void {
  if (tls.max_version === undefined || tls.max_version >= tls.min_version) return;
  refuse(context, { path: ["max_version"], message: "must not be below min_version", fix: "leave it out" });
}

function nameOf(what: string, names: readonly string[]): z.ZodType<string, string> {
  const schema = z.string().superRefine((name, context) => {
    if (!names.includes(name)) refuse(context, { expected: what, fix: `write one of ${names.join(", ")}` });
  });
  return annotate(schema, { type: "string" });
}
