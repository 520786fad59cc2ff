import type { ComponentFactory } from "../core/component.ts";
import type { ComponentId, ComponentKind } from "../core/component-id.ts";
import type { ProxyEnvironment } from "../core/proxy-environment.ts";
import type { Signal } from "../core/signal.ts";
import type { Path, Position } from "./problem.ts";
import type { SignalboxConfig } from "./signalbox.ts";
import type { TelemetryConfig } from "./telemetry.ts";

/** What a gateway is built from: every value checked, every reference known to lead somewhere. */
export interface Configuration {
  readonly receivers: ComponentSection<"receiver">;
  readonly processors: ComponentSection<"processor">;
  readonly exporters: ComponentSection<"exporter">;
  readonly connectors: ComponentSection<"connector">;
  readonly extensions: ComponentSection<"extension">;
  /** By id as in the YAML, `traces/frontend`, in file order. */
  readonly pipelines: ReadonlyMap<string, ConfiguredPipeline>;
  readonly service: ConfiguredService;
  readonly signalbox: SignalboxConfig;
  /** Of the environment that it was read in; holds secrets, never to be shown. */
  readonly proxy: ProxyEnvironment;
}

/** By id as in the YAML, `otlp_grpc/dash0`, in file order. */
export type ComponentSection<K extends ComponentKind> = ReadonlyMap<string, ConfiguredComponent<K>>;

export interface ConfiguredComponent<K extends ComponentKind = ComponentKind> {
  /** As written, so a deprecated type name stays in it; `factory.type` is the present one. */
  readonly id: ComponentId;
  readonly factory: FactoryOf<K>;
  /** The output of `factory.config`. */
  readonly config: unknown;
  /** What it was read from, variables put in: a reload compares it. Holds secrets as plain text; never to be shown. */
  readonly written: unknown;
  readonly position: Position;
  /** Of a key in its block, for problems that show only beside other components; of the nearest one above it that is written. */
  positionOf(path: Path): Position;
}

export type FactoryOf<K extends ComponentKind> = Extract<ComponentFactory, { readonly kind: K }>;

export interface ConfiguredPipeline {
  readonly signal: Signal;
  /** The pipeline's own id: `traces/frontend` has the type `traces`. */
  readonly id: ComponentId;
  /** Ids of receivers, or of connectors. Each stands once. */
  readonly receivers: readonly string[];
  /** In the order data passes them. */
  readonly processors: readonly string[];
  /** Ids of exporters, or of connectors. Each stands once. */
  readonly exporters: readonly string[];
  readonly position: Position;
}

export interface ConfiguredService {
  /** In the order they start. */
  readonly extensions: readonly string[];
  readonly telemetry: TelemetryConfig;
  /** Of its key, or where the file begins. */
  readonly telemetryPosition: Position;
}

/** The component types that a configuration may name. */
export interface FactoryLookup {
  /** Answers to deprecated names too, so that `type` and the factory's own type may differ. */
  find(kind: ComponentKind, type: string): ComponentFactory | undefined;
  /** The present names, for messages. */
  types(kind: ComponentKind): readonly string[];
  /** A processor of this type would be there if its file were sound; what is wrong with that has been reported. */
  isBroken?(kind: ComponentKind, type: string): boolean;
}

/** A lookup over a list. Where two factories claim a name the first one has it, and a present name beats a deprecated one. */
export function factoryLookup(
  factories: readonly ComponentFactory[],
  brokenProcessors: readonly string[] = [],
): FactoryLookup {
  return {
    isBroken: (kind, type) => kind === "processor" && brokenProcessors.includes(type),
    find(kind, type) {
      const ofKind = factories.filter((factory) => factory.kind === kind);
      return (
        ofKind.find((factory) => factory.type === type) ??
        ofKind.find((factory) => factory.deprecatedTypes?.includes(type))
      );
    },
    types(kind) {
      return factories.filter((factory) => factory.kind === kind).map((factory) => factory.type);
    },
  };
}
