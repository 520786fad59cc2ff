/** The gateway as it would be without fdatasync, on a disk that forgets: the harness must find what it loses. */
import { installFaultyDisk } from "./faulty-disk.ts";

installFaultyDisk(import.meta.url, { isSyncing: false });
