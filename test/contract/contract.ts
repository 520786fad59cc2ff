import type {
  Component,
  ExporterFactory,
  ExtensionFactory,
  Listening,
  ProcessorFactory,
  ReceiverFactory,
} from "../../src/core/component.ts";
import type { Signal } from "../../src/core/signal.ts";
import type { Stage } from "./stage.ts";

/** A promise that components keep, tried on one case. The same list makes the tests and the table in README.md. */
export interface ContractPromise<C> {
  /** In plain present, with the component as its subject. */
  readonly name: string;
  /** Why this case has nothing to keep here; undefined where it must hold. */
  readonly sparedBy?: ((subject: C) => string | undefined) | undefined;
  /** Throws where the promise is broken. */
  readonly holds: (subject: C) => Promise<void>;
}

interface CaseOf<F> {
  /** As in the table: `receivers/otlp`, or with a variant: `receivers/otlp, HTTP`. */
  readonly name: string;
  readonly factory: F;
}

/** One start that must fail: the configuration, and what the error has to say for a person to mend it. */
export interface Unstartable {
  readonly config: unknown;
  readonly message: RegExp;
}

export type SendOutcome = "accepted" | "retryable" | "permanent" | "unreachable";

export interface ReceiverRequest {
  readonly listening: readonly Listening[];
  readonly signal: Signal;
  /** An Export*ServiceRequest; a receiver of another protocol sends something of as many items. */
  readonly bytes: Uint8Array;
  /** Aborts: the sender goes away. */
  readonly abort?: AbortSignal;
}

export interface ReceiverCase extends CaseOf<ReceiverFactory> {
  /** As a person writes it in the YAML; listens on 127.0.0.1, port 0. */
  readonly config: (stage: Stage) => unknown;
  readonly unstartable: (stage: Stage) => Promise<readonly Unstartable[]>;
  /** Sends one request on a connection of its own and resolves with what the sender is told. */
  readonly send: (request: ReceiverRequest) => Promise<SendOutcome>;
}

export interface ProcessorCase extends CaseOf<ProcessorFactory> {
  readonly config: unknown;
  /** Why its start cannot fail, or a start that does. */
  readonly unstartable: string | ((stage: Stage) => Promise<readonly Unstartable[]>);
  /** For one that edits: a configuration and a request that it then leaves as they are. */
  readonly idle?: { readonly config: unknown; readonly request: (signal: Signal) => Uint8Array };
  /** For one that waits in consume(): a configuration with which it waits for ever, or for longer than any sender. */
  readonly endless?: unknown;
}

export type BackendMood = "takes" | "refuses" | "garbles" | "breaks" | "hangs";

/** What an exporter talks to, under a test's hand. */
export interface ContractBackend {
  /** How much has arrived, in a measure of the backend's own that only grows: requests, bytes, lines. */
  readonly arrived: () => number;
  /** What it does with the requests to come. */
  mood: BackendMood;
}

export interface ExporterCase extends CaseOf<ExporterFactory> {
  /** Opens the backend, ended by the stage, and says how an exporter reaches it. */
  readonly open: (stage: Stage) => Promise<{ readonly config: unknown; readonly backend: ContractBackend }>;
  readonly unstartable: string | ((stage: Stage) => Promise<readonly Unstartable[]>);
  /** What its backend cannot do: one in this process neither hangs nor breaks. */
  readonly moods: readonly BackendMood[];
}

export interface ExtensionCase extends CaseOf<ExtensionFactory> {
  readonly config: (stage: Stage) => unknown;
  readonly unstartable: string | ((stage: Stage) => Promise<readonly Unstartable[]>);
  /** Does what the extension is for, once, while it runs. */
  readonly work?: (stage: Stage) => Promise<void>;
}

export type ComponentCase =
  | ({ readonly kind: "receiver" } & ReceiverCase)
  | ({ readonly kind: "processor" } & ProcessorCase)
  | ({ readonly kind: "exporter" } & ExporterCase)
  | ({ readonly kind: "extension" } & ExtensionCase);

/** A component with all that the service makes of one block of the YAML: a processor stands once for each signal. */
export interface Instance {
  readonly components: readonly Component[];
  /** Does once what it is for; throws where it does not. */
  readonly work: () => Promise<void>;
}
