/**
 * `npm run build`: the package as it is published, in dist/. Type stripping is refused under node_modules, so a consumer gets JavaScript.
 * The compiler rewrites relative `.ts` imports to `.js`; what is not TypeScript (the SQL, the page) is copied.
 */
import { execFileSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync(`${root}node_modules/.bin/tsc`, ["--project", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
for (const folder of ["src", "processors"]) {
  cpSync(`${root}${folder}`, `${root}dist/${folder}`, {
    recursive: true,
    filter: (path) => !path.endsWith(".ts") && !path.endsWith(".md"),
  });
}
