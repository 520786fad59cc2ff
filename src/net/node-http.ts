import type * as NodeHttp from "node:http";

/**
 * node:http without what an `import` of it costs. An import makes a namespace of all exports, and reading the one named
 * WebSocket loads undici: 13 MiB and a tenth of a second at each start (Node 24.21), for names that nobody uses here.
 */
const http: typeof NodeHttp = process.getBuiltinModule("node:http");

export const { Agent: HttpAgent, createServer, request: requestHttp } = http;
