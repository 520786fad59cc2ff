/**
 * Waits for `closed`, and calls `cut` as soon as the signal aborts before. Stopping may be asked for more than once, and
 * the one who comes later may have less patience: each caller's signal counts.
 */
export async function waitOrCut(closed: Promise<void>, signal: AbortSignal, cut: () => void): Promise<void> {
  if (signal.aborted) cut();
  signal.addEventListener("abort", cut, { once: true });
  try {
    await closed;
  } finally {
    signal.removeEventListener("abort", cut);
  }
}
