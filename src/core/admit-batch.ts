import type { AdmissionSettings } from "./admission.ts";
import type { Batch } from "./batch.ts";
import type { Host } from "./component.ts";
import type { Consumer } from "./consumer.ts";
import { ConsumeError } from "./errors.ts";
import type { Signal } from "./signal.ts";

/**
 * What a receiver does with a request that is one batch: opens an admission, lets the pipelines have the batch, and
 * commits. It resolves when the batch is kept at every required destination, and the sender may be told so. On any
 * rejection the admission has been discarded and nothing is left behind. Rejects with ConsumeError and nothing else.
 *
 * The batch is released: its views are invalid afterwards.
 */
export async function admitBatch<S extends Signal>(
  host: Pick<Host, "admit">,
  consumer: Consumer<S>,
  batch: Batch<S>,
  settings: Omit<AdmissionSettings, "received">,
): Promise<void> {
  const admission = host.admit({ ...settings, received: { signal: batch.signal, items: batch.itemCount } });
  try {
    await consumer.consume(batch, admission);
    // Before the wait for room, so that a view kept by mistake is found at once and pins nothing meanwhile.
    batch.release();
    await admission.commit();
  } catch (thrown) {
    const error = ConsumeError.from(thrown);
    admission.discard(error);
    throw error;
  } finally {
    batch.release();
  }
}
