/** The bounds that the codecs keep. They stand here because wire imports nothing above it; core/limits.ts shows them beside all others. */

/** Nested messages (AnyValue in arrays and kvlists, mostly). Real telemetry stays under 10; deeper bytes are refused as 400. */
export const MESSAGE_DEPTH_MAX = 64;

/** Regrouping: resources in one batch, and growth of its bytes. Beyond it the keys stay on the records, counted. */
export const REGROUP_RESOURCES_MAX = 1000;
export const REGROUP_BYTES_FACTOR_MAX = 2;

/** A batch smaller than this may grow up to it: of three records under one large resource, three resources are more than twice the bytes. */
export const REGROUP_BYTES_FREE = 64 * 1024;
