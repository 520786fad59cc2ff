/** What the environment says of proxies, as it is written there. "" for nothing. May hold credentials. */
export interface ProxyEnvironment {
  /** For http addresses. */
  readonly http: string;
  /** For https addresses, and for gRPC. */
  readonly https: string;
  /** Where none is used. */
  readonly none: string;
}

/** HTTP_PROXY, HTTPS_PROXY and NO_PROXY, each in capitals or not, as Go reads them, and with it the Collector. */
export function readProxyEnvironment(env: Readonly<Record<string, string | undefined>>): ProxyEnvironment {
  const read = (name: string): string => env[name] || env[name.toLowerCase()] || "";
  // A CGI script's HTTP_PROXY is a header of whoever called it (httpoxy).
  const isCgi = (env["REQUEST_METHOD"] ?? "") !== "";
  return { http: isCgi ? "" : read("HTTP_PROXY"), https: read("HTTPS_PROXY"), none: read("NO_PROXY") };
}
