import type { SecureContextOptions } from "node:tls";

/** The Collector names cipher suites and curves as Go does; this is what OpenSSL calls them. */

/** Suites of TLS 1.2 that Go takes for secure (crypto/tls CipherSuites()). */
const CIPHER_SUITES: ReadonlyMap<string, string> = new Map([
  ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"],
  ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
]);

/** Go lets nobody choose among these, and naming none of them would switch TLS 1.3 off in Node. */
const TLS_1_3_SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

const CURVES: ReadonlyMap<string, string> = new Map([
  ["P256", "P-256"],
  ["P384", "P-384"],
  ["P521", "P-521"],
  ["X25519", "X25519"],
  ["X25519MLKEM768", "X25519MLKEM768"],
]);

export const CIPHER_SUITE_NAMES: readonly string[] = [...CIPHER_SUITES.keys(), ...TLS_1_3_SUITES];
export const CURVE_NAMES: readonly string[] = [...CURVES.keys()];

interface TlsChoices {
  readonly min_version: "1.2" | "1.3";
  readonly max_version?: "1.2" | "1.3" | undefined;
  readonly cipher_suites: readonly string[];
  readonly curve_preferences: readonly string[];
}

/** Which TLS is spoken, as node:tls wants it. */
export function tlsChoices(config: TlsChoices): SecureContextOptions {
  const ciphers = opensslCiphers(config.cipher_suites);
  const ecdhCurve = opensslCurves(config.curve_preferences);
  return {
    minVersion: `TLSv${config.min_version}`,
    ...(config.max_version !== undefined && { maxVersion: `TLSv${config.max_version}` as const }),
    ...(ciphers !== undefined && { ciphers }),
    ...(ecdhCurve !== undefined && { ecdhCurve }),
  };
}

/** For `ciphers` of node:tls; undefined leaves Node's own list. */
function opensslCiphers(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const chosen = names.flatMap((name) => CIPHER_SUITES.get(name) ?? []);
  return [...TLS_1_3_SUITES, ...chosen].join(":");
}

/** For `ecdhCurve` of node:tls; undefined leaves OpenSSL's own list. */
function opensslCurves(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  return names.map((name) => CURVES.get(name) ?? name).join(":");
}
