/**
 * Files that were put aside: `data.json` becomes `data-2026-11-24T05-02-14.173-size.json`, as the Collector names it.
 * Its older name, without `-size`, is known too.
 */
import { access, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, parse } from "node:path";
import type { FileConfig } from "./config.ts";

export type Rotation = NonNullable<FileConfig["rotation"]>;

const MIB = 1024 * 1024;
const MEGABYTES_DEFAULT = 100;
const DAY_MS = 24 * 60 * 60 * 1000;

export function sizeMaxOf({ max_megabytes }: Rotation): number {
  return (max_megabytes || MEGABYTES_DEFAULT) * MIB;
}

/** Renames the file; the name says when: `ms`, or the next millisecond that is free. Returns it. */
export async function putAside(path: string, ms: number, rotation: Rotation): Promise<number> {
  const target = backupPath(path, ms, rotation.localtime);
  if (await exists(target)) return putAside(path, ms + 1, rotation);
  await rename(path, target);
  return ms;
}

/** Deletes what is beyond max_backups, or older than max_days by the time in its name. */
export async function pruneBackups(path: string, nowMs: number, rotation: Rotation): Promise<void> {
  const { max_backups: countMax, max_days: daysMax, localtime } = rotation;
  if (countMax === 0 && daysMax === 0) return;
  const oldest = daysMax === 0 ? "" : timestamp(nowMs - daysMax * DAY_MS, localtime);
  const backups = await listBackups(path);
  for (const [index, { name, time }] of backups.entries()) {
    const isKept = (countMax === 0 || index < countMax) && time >= oldest;
    if (!isKept) await rm(join(dirname(path), name), { force: true });
  }
}

/** Newest first. Times are written so that they sort as texts. */
async function listBackups(path: string): Promise<{ readonly name: string; readonly time: string }[]> {
  const { name: stem, ext } = parse(path);
  const names = await readdir(dirname(path));
  const backups = names.flatMap((name) => {
    if (!name.startsWith(`${stem}-`) || !name.endsWith(ext) || name === basename(path)) return [];
    const match = TIME_PATTERN.exec(name.slice(stem.length + 1, name.length - ext.length));
    return match === null ? [] : [{ name, time: match[1]! }];
  });
  return backups.toSorted((left, right) => (left.time < right.time ? 1 : -1));
}

const TIME_PATTERN = /^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})(?:-size)?$/;

function backupPath(path: string, ms: number, isLocal: boolean): string {
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}-${timestamp(ms, isLocal)}-size${ext}`);
}

function timestamp(ms: number, isLocal: boolean): string {
  // Shifted by the zone's offset, the UTC form of a time is its local one.
  const date = new Date(ms);
  const shown = isLocal ? new Date(ms - date.getTimezoneOffset() * 60_000) : date;
  return shown.toISOString().slice(0, -1).replaceAll(":", "-");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
