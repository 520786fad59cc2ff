import { createSecureContext, getCACertificates } from "node:tls";
import type { SecureContextOptions } from "node:tls";
import type { ClientTlsConfig } from "./client-config.ts";
import { loadPem } from "./pem.ts";
import { tlsChoices } from "./tls-choices.ts";

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
    ...tlsChoices(tls),
    ...(authorities !== undefined && { ca: authorities }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  checkContext(contextOptions);
  return { contextOptions, rejectUnauthorized: !tls.insecure_skip_verify, serverName: tls.server_name_override };
}

/** TLS as OpenTelemetry's declarative configuration names its files; absent ones leave Node's own list, and no certificate of ours. */
export interface DeclaredTls {
  readonly certificate?: string | undefined;
  readonly client_certificate?: string | undefined;
  readonly client_key?: string | undefined;
}

/** Rejects with an error that names the key and the file. */
export async function loadDeclaredTls(declared: DeclaredTls): Promise<ClientTls> {
  const [ca, cert, key] = await Promise.all([
    loadPem("certificate", declared.certificate, undefined),
    loadPem("client_certificate", declared.client_certificate, undefined),
    loadPem("client_key", declared.client_key, undefined),
  ]);
  const contextOptions: SecureContextOptions = {
    minVersion: "TLSv1.2",
    ...(ca !== undefined && { ca: [ca] }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  checkContext(contextOptions);
  return { contextOptions, rejectUnauthorized: true, serverName: undefined };
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
