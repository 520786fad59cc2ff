/** `node --import bad-disk.ts?control=PATH src/main.ts`: the gateway on a disk that fails and forgets. */
import { installFaultyDisk } from "./faulty-disk.ts";

installFaultyDisk(import.meta.url, { isSyncing: true });
