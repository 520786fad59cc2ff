import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["signalbox-source"] },
  ssr: { resolve: { conditions: ["signalbox-source"] } },
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/support/skip-reporter.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
