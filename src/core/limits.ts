/** Every bound that is not a user's setting, in one place; each says what it bets on and what happens when the bet is lost. */

const MIB = 1024 * 1024;

/** OTLP 1.11.0 recommends 64 MiB after decompression. A larger request is answered 413 / RESOURCE_EXHAUSTED, never cut. */
export const REQUEST_BYTES_MAX = 64 * MIB;

/** Bytes of requests between socket and answer, over all doors. Beyond it doors stop reading; senders wait, then are refused with a hint. */
export const DOOR_BYTES_MAX = 256 * MIB;

/**
 * A batch above either is large: receivers bring such into the pipelines one at a time, and processors pause in it. The
 * bet: what is below is edited within some 50 ms. Lost, other senders wait that much longer. Collectors send 8,192 items.
 */
export const LARGE_BATCH_ITEMS = 16_384;
export const LARGE_BATCH_BYTES = 4 * MIB;

// The bounds of the codecs stand in wire/limits.ts, since wire imports nothing from here; those that are used above it:
export { MESSAGE_DEPTH_MAX, REGROUP_BYTES_FACTOR_MAX, REGROUP_RESOURCES_MAX } from "../wire/limits.ts";

/** Senders without a deadline of their own are answered within this time. */
export const DOOR_WAIT_MS_DEFAULT = 5_000;

/** A sender is told to come back after this time where we do not know better. One second: the JavaScript HTTP exporter gives up when told more than its 10 s. */
export const RETRY_AFTER_MS_DEFAULT = 1_000;
