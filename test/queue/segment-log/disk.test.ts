import { constants } from "node:fs";
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeDisk, syncedFile } from "../../../src/queue/segment-log/disk.ts";

describe("a file whose writes are synced", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "signalbox-disk-"));
  });

  afterEach(() => rm(folder, { recursive: true }));

  it("has what a write and a sync leave, however many slices there are", async () => {
    const slices = Array.from({ length: 2500 }, (_, index) => Buffer.alloc(1 + (index % 7), index));
    const slow = syncedFile(await nodeDisk.create(folder, "slow"));
    const fast = await nodeDisk.createSynced(folder, "fast");
    for (const file of [slow, fast]) {
      await file.write(slices, 0);
      await file.write(slices.slice(0, 3), 20_000);
      await file.truncate(20_004);
      await file.close();
    }
    const bytes = await readFile(join(folder, "fast"));
    expect(bytes).toHaveLength(20_004);
    expect(bytes.equals(await readFile(join(folder, "slow")))).toBe(true);
  });

  it("is not one that is there already", async () => {
    await (await nodeDisk.createSynced(folder, "one")).close();
    await expect(nodeDisk.createSynced(folder, "one")).rejects.toMatchObject({ code: "EEXIST" });
  });

  it.runIf(process.platform === "linux")("is opened so that the system syncs each write", async () => {
    const file = await nodeDisk.createSynced(folder, "flags");
    expect((await flagsOf(join(folder, "flags"))) & constants.O_DSYNC).toBe(constants.O_DSYNC);
    await file.close();
  });
});

/** https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html */
async function flagsOf(path: string): Promise<number> {
  for (const descriptor of await readdir("/proc/self/fd")) {
    const target = await readlink(`/proc/self/fd/${descriptor}`).catch(() => "");
    if (target !== path) continue;
    const info = await readFile(`/proc/self/fdinfo/${descriptor}`, "utf8");
    return Number.parseInt(/^flags:\s+(\d+)$/m.exec(info)![1]!, 8);
  }
  throw new Error(`${path} is not open`);
}
