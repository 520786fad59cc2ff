/** Of a request line, the path and what stands behind the "?", undecoded; "" for none. */
export function splitTarget(target = "/"): { readonly path: string; readonly query: string } {
  // Proxies may write the whole URL in the request line (RFC 9112, 3.2.2).
  if (!target.startsWith("/")) {
    const url = URL.parse(target);
    return { path: url?.pathname ?? target, query: url?.search.slice(1) ?? "" };
  }
  const mark = target.indexOf("?");
  return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}
