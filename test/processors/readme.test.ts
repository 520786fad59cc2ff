import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { workerIdentityConfig } from "../../processors/worker_identity/config.ts";
import { SPELLINGS } from "signalbox/sdk";
import { settingsTable } from "../../src/config/settings-table.ts";

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
}

describe("processors/README.md", () => {
  it.each(["quiet_health_checks.ts", "quiet_health_checks.test.ts", "owner_of_machine.ts"])(
    "shows %s as it is tested",
    (name) => {
      const text = read(`test/testdata/processors/${name}`);
      expect(read("processors/README.md")).toContain(`\`\`\`ts\n${text}\`\`\``);
    },
  );
});

describe("processors/worker_identity/README.md", () => {
  const readme = read("processors/worker_identity/README.md");

  it("has the settings table that the schema gives", () => {
    expect(readme).toContain(settingsTable(workerIdentityConfig));
  });

  it("lists every spelling of the table", () => {
    const rows = Object.values(SPELLINGS).map(([canonical, ...others]) => {
      return `| \`${canonical}\` | ${others.map((key) => `\`${key}\``).join(", ")} |`;
    });
    expect(readme).toContain(rows.join("\n"));
  });
});
