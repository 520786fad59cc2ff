import type { ComponentFactory } from "../core/component.ts";
import { SIGNALS } from "../core/signal.ts";
import { SECTION_NAMES } from "./components.ts";
import {
  EXPRESSION_DEFINITION,
  EXPRESSION_OR_NOTHING_DEFINITION,
  type Json,
  openInside,
  openSchema,
  settingsJsonSchema,
} from "./json-schema-values.ts";
import { shareDefinitions } from "./json-schema-shared.ts";
import { signalboxConfig } from "./signalbox.ts";
import { telemetryConfig } from "./telemetry.ts";

/**
 * The JSON Schema of the whole configuration, for editors: they complete keys and values, show what a key means and
 * mark what is wrong while one types. It says less than the validator, and nothing that the validator would not say
 * (test/config/json-schema-agrees.test.ts), but for one thing: a block's key may be missed that stands elsewhere in the same
 * file, as a path such as `exporters::otlp_grpc::endpoint`.
 *
 *   # yaml-language-server: $schema=signalbox.schema.json
 *
 * Draft 7, which every editor reads. `deprecationMessage` is an editor's own word, shown like a warning.
 */

export function configurationJsonSchema(factories: readonly ComponentFactory[]): Json {
  const sections = Object.entries(SECTION_NAMES).map(([kind, section]) => {
    const ofKind = factories.filter((factory) => factory.kind === kind);
    return [section, ofKind] as const;
  });
  const definitions = sections.flatMap(([section, ofKind]) =>
    ofKind.map(
      (factory) => [definitionName(section, factory), openInside(settingsJsonSchema(factory.config))] as const,
    ),
  );
  return shareDefinitions({
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Signalbox configuration",
    description: "The OpenTelemetry Collector's YAML, and the block signalbox.",
    type: "object",
    properties: {
      ...Object.fromEntries(sections.map(([section, ofKind]) => [section, sectionSchema(section, ofKind)])),
      service: openSchema(serviceSchema()),
      signalbox: openSchema({
        ...settingsJsonSchema(signalboxConfig),
        description: "What the Collector does not have.",
      }),
    },
    // `processors::batch::timeout: 2s` is a path in one key.
    patternProperties: { "::": {} },
    additionalProperties: false,
    definitions: {
      expression: EXPRESSION_DEFINITION,
      expression_or_nothing: EXPRESSION_OR_NOTHING_DEFINITION,
      ...Object.fromEntries(definitions),
    },
  });
}

function definitionName(section: string, { type }: ComponentFactory): string {
  return `${section}.${type}`;
}

/** Keys are `type` or `type/name`, and may have spaces around both; `type::key` is a path (withPathKeys). */
function idPattern(type: string): string {
  return String.raw`^\s*${type}\s*(/((?!::).)+)?$`;
}

function sectionSchema(section: string, factories: readonly ComponentFactory[]): Json {
  const patterns = factories.flatMap((factory) => {
    const body = { $ref: `#/definitions/${definitionName(section, factory)}` };
    const deprecated = (factory.deprecatedTypes ?? []).map((type) => {
      const deprecationMessage = `"${type}" alias is deprecated; use "${factory.type}" instead`;
      return [idPattern(type), { allOf: [body], deprecationMessage }] as const;
    });
    return [[idPattern(factory.type), body] as const, ...deprecated];
  });
  const description = `Each key is type or type/name. The types: ${factories.map(({ type }) => type).join(", ") || "none"}.`;
  const map = { type: "object", patternProperties: Object.fromEntries(patterns), additionalProperties: false };
  return openSchema({ description, ...map });
}

function idList(what: string): Json {
  return { type: "array", items: { type: "string" }, description: `The ids of ${what}.` };
}

function serviceSchema(): Json {
  const pipeline = {
    type: "object",
    properties: {
      receivers: idList("the receivers, or connectors, whose data enters here"),
      processors: idList("the processors, in the order that data passes them"),
      exporters: idList("the exporters, or connectors, that all get it"),
    },
    additionalProperties: false,
  };
  const pipelines = {
    type: "object",
    description: "Each key is a signal, or signal/name.",
    patternProperties: { [idPattern(`(${SIGNALS.join("|")})`)]: pipeline },
    additionalProperties: false,
  };
  const extensions = idList("the extensions, in the order they start");
  return {
    type: "object",
    description: "What runs.",
    properties: { extensions, pipelines, telemetry: settingsJsonSchema(telemetryConfig) },
    additionalProperties: false,
  };
}
