import type { StateChange } from "../core/admission.ts";

/**
 * What components attached to admissions that were kept, by this process and by those before it: the latest value of
 * each key. Beside the storage, which has it too, so that a component of a new generation starts from what is true now.
 * As large as the components make it: whoever attaches state deletes what it needs no more.
 */
export class ComponentStates {
  readonly #owners = new Map<string, Map<string, Uint8Array>>();

  /** A copy: what changes later does not change it. */
  of(owner: string): ReadonlyMap<string, Uint8Array> {
    return new Map(this.#owners.get(owner));
  }

  apply({ owner, key, value }: StateChange): void {
    if (value === undefined) return this.#delete(owner, key);
    let states = this.#owners.get(owner);
    if (states === undefined) {
      states = new Map();
      this.#owners.set(owner, states);
    }
    states.set(key, value);
  }

  #delete(owner: string, key: string): void {
    const states = this.#owners.get(owner);
    states?.delete(key);
    if (states?.size === 0) this.#owners.delete(owner);
  }
}
