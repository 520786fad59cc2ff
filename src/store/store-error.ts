/**
 * Why the store could not do something.
 *
 * | kind | meaning |
 * | --- | --- |
 * | locked | another gateway has the folder |
 * | disk | no room or a failing disk; may pass |
 * | bad_data | the bytes are no OTLP |
 * | over_budget | a query ran longer than its budget and was ended |
 * | busy | more queries wait than are kept |
 * | closed | the store is shut, or the thread at work on others has ended |
 * | broke | the thread ended while it worked on this one |
 * | internal | our bug |
 */
export type StoreErrorKind = "locked" | "disk" | "bad_data" | "over_budget" | "busy" | "closed" | "broke" | "internal";

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly kind: StoreErrorKind;

  constructor(kind: StoreErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}
