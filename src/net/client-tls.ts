import { createSecureContext, getCACertificates } from "node:tls";
import type { SecureContextOptions } from "node:tls";
import type { ClientTlsConfig } from "./client-config.ts";
import { loadPem } from "./pem.ts";

/** TLS towards a backend, with its files read; for node:https as it is, for gRPC through createSecureContext(). */
export interface ClientTls {
  readonly contextOptions: SecureContextOptions;
  readonly rejectUnauthorized: boolean;
  readonly serverName: string | undefined;
}

/** Reads the files that `tls` names. Rejects with an error that names the key and the file; never with a key's text. */
export async function loadClientTls(tls: ClientTlsConfig): Promise<ClientTls> {
  const [ca, cert, key] = await Promise.all([
    loadPem("tls.ca_file", tls.ca_file, tls.ca_pem?.reveal()),
    loadPem("tls.cert_file", tls.cert_file, tls.cert_pem?.reveal()),
    loadPem("tls.key_file", tls.key_file, tls.key_pem?.reveal()),
  ]);
  const authorities = knownAuthorities(ca, tls.include_system_ca_certs_pool);
  const contextOptions: SecureContextOptions = {
    minVersion: `TLSv${tls.min_version}`,
    ...(tls.max_version !== undefined && { maxVersion: `TLSv${tls.max_version}` as const }),
    ...(authorities !== undefined && { ca: authorities }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  checkContext(contextOptions);
  return { contextOptions, rejectUnauthorized: !tls.insecure_skip_verify, serverName: tls.server_name_override };
}

/** undefined leaves Node's own list. Naming authorities replaces that list, as in the Collector. */
function knownAuthorities(ca: string | undefined, withSystem: boolean): string[] | undefined {
  if (!withSystem) return ca === undefined ? undefined : [ca];
  const own = ca === undefined ? getCACertificates("bundled") : [ca];
  return [...own, ...getCACertificates("system")];
}

/** Building a context finds a key that does not belong to its certificate, at the start instead of at the first request. */
function checkContext(options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`tls: the certificate and the key cannot be used: ${reason}\n  check that they belong together`, {
      cause: error,
    });
  }
}
