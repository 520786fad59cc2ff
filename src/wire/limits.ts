/** The bounds that the codecs keep. They stand here because wire imports nothing above it; core/limits.ts shows them beside all others. */

/** Nested messages (AnyValue in arrays and kvlists, mostly). Real telemetry stays under 10; deeper bytes are refused as 400. */
export const MESSAGE_DEPTH_MAX = 64;

/**
 * Nested messages in one request, all of them. 64 MiB of ordinary telemetry hold 2 to 7 million; bytes that hold more
 * consist of empty messages, and would cost a hundred times their size once something reads them. Refused as 400.
 */
export const REQUEST_MESSAGES_MAX = 2 ** 23;

/**
 * Log records or spans in one request; metrics, and all their data points. 64 MiB hold that many of 64 bytes each, which
 * is the least that a record with a time, a text and an attribute takes; senders batch a hundredth of it. More of them
 * are empty, 8 KB in gzip, and every processor that edits would have to keep a hundred bytes for each. Refused as 400.
 */
export const REQUEST_ITEMS_MAX = 2 ** 20;

/**
 * Attributes in one list, and keys in one map of an attribute's value or a body. SDKs stop at 128; a list is read without a
 * pause, so this is what bounds how long one record can hold up all others. Refused as 400.
 */
export const LIST_PAIRS_MAX = 2 ** 17;

/** Resource groups, and scope groups, in one request. Real ones have at most as many as a batch has items, some ten thousand. */
export const REQUEST_GROUPS_MAX = 2 ** 18;

/**
 * Doubled messages are merged by copying, level by level: a request may have its own size copied twice. No client writes
 * doubled messages at all; bytes that double them on many levels are refused as 400.
 */
export const MERGE_BYTES_FACTOR_MAX = 2;

/** Regrouping: resources in one batch, and growth of its bytes. Beyond it the keys stay on the records, counted. */
export const REGROUP_RESOURCES_MAX = 1000;
export const REGROUP_BYTES_FACTOR_MAX = 2;

/** A batch smaller than this may grow up to it: of three records under one large resource, three resources are more than twice the bytes. */
export const REGROUP_BYTES_FREE = 64 * 1024;

/**
 * What edits of a resource may add to the resources that its records moved to before, beyond the bound on growth. The bet:
 * a processor that completes a resource last writes a few hundred bytes to it, 1,000 times over. Lost: that batch fails.
 */
export const REGROUP_LATE_BYTES_MAX = 4 * 1024 * 1024;
