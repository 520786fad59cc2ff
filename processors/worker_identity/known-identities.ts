import type { ClientMetadata } from "signalbox/sdk";
import type { WorkerIdentityConfig } from "./config.ts";
import { GroupIdentity } from "./group-identity.ts";
import type { Said } from "./identity.ts";
import { idText } from "./spellings.ts";
import type { ResourceWord } from "./spoken.ts";

/** Senders with headers of their own are a few machines; past this many all begin anew. */
const SENDERS_MAX = 64;

interface Sender {
  readonly said: readonly Said[];
  readonly identities: WeakMap<ResourceWord, GroupIdentity>;
}

/** Keeps what resources come to from request to request: what they say, who sends and the configuration decide it all. */
export class KnownIdentities {
  readonly #config: WorkerIdentityConfig;
  readonly #isMirrored: boolean;
  readonly #senders = new Map<string, Sender>();

  constructor(config: WorkerIdentityConfig, isMirrored: boolean) {
    this.#config = config;
    this.#isMirrored = isMirrored;
  }

  of(client: ClientMetadata): (word: ResourceWord) => GroupIdentity {
    const sender = this.#senderOf(client);
    return (word) => {
      let identity = sender.identities.get(word);
      if (identity === undefined) sender.identities.set(word, (identity = this.#resolve(word, sender)));
      return identity;
    };
  }

  #resolve(word: ResourceWord, { said: senders }: Sender): GroupIdentity {
    return new GroupIdentity({ word, senders, mode: this.#config.instance_id, isMirrored: this.#isMirrored });
  }

  #senderOf(client: ClientMetadata): Sender {
    const header = headersOf(client);
    const key = `${header.machine ?? ""}\0${header.worker ?? ""}\0${header.serviceType ?? ""}`;
    let sender = this.#senders.get(key);
    if (sender === undefined) {
      if (this.#senders.size >= SENDERS_MAX) this.#senders.clear();
      this.#senders.set(key, (sender = { said: [header, configured(this.#config)], identities: new WeakMap() }));
    }
    return sender;
  }
}

/** Who sends, where nothing in the data says more. An id is never empty, nor has it a NUL at a place where ids part. */
function headersOf(client: ClientMetadata): Said {
  const header = (name: string): string | undefined => idText(client.first(name)) ?? undefined;
  return { machine: header("x-machine-id"), worker: header("x-worker-id"), serviceType: header("x-service-type") };
}

function configured({ machine_id, worker_id, service_type }: WorkerIdentityConfig): Said {
  return {
    machine: machine_id || undefined,
    worker: worker_id || undefined,
    serviceType: service_type || undefined,
  };
}
