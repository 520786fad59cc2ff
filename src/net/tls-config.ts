import { z } from "zod";
import { annotate, refuse } from "../config/types.ts";
import { CIPHER_SUITE_NAMES, CURVE_NAMES } from "./tls-choices.ts";

/** What `tls` has at a server and at a client alike: which TLS is spoken. Names and defaults are the Collector's. */

const TLS_VERSIONS = ["1.2", "1.3"] as const;

// Node's OpenSSL has 1.0 and 1.1 compiled in, and its security level refuses every suite of theirs.
const tlsVersion = annotate(z.enum(TLS_VERSIONS), {
  fix: 'write "1.2" or "1.3", in quotes; Node speaks nothing older at its level of security',
});

export const tlsVersionKeys = {
  min_version: tlsVersion.default("1.2").describe("The oldest TLS that is spoken."),
  max_version: tlsVersion.optional().describe("The newest TLS that is spoken; default: the newest there is."),
  cipher_suites: z
    .array(nameOf("a cipher suite", CIPHER_SUITE_NAMES))
    .default([])
    .describe("Suites of TLS 1.2, by Go's names. Empty: Node's; those of TLS 1.3 are always on."),
  curve_preferences: z
    .array(nameOf("a curve", CURVE_NAMES))
    .default([])
    .describe(`Curves, best first: ${CURVE_NAMES.join(", ")}. Empty: OpenSSL's.`),
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
