// The AsyncAPI project's own parser over our document:  node tools/check_asyncapi.mjs docs/schemas/asyncapi.json
// Needs @asyncapi/parser in .venv/node, where `tools/setup.sh test` puts it, or in the folder that ASYNCAPI_PARSER names.
// Exit code 1: it found something; 2: the parser or the file is not there.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const place = process.env.ASYNCAPI_PARSER ?? fileURLToPath(new URL("../.venv/node", import.meta.url));
const file = resolve(process.argv[2] ?? "docs/schemas/asyncapi.json");
let Parser, text;
try {
  ({ Parser } = createRequire(resolve(place, "here.js"))("@asyncapi/parser"));
  text = readFileSync(file, "utf8");
} catch (error) {
  const missing = error.code === "MODULE_NOT_FOUND";
  console.error(missing ? `no @asyncapi/parser in ${place}: npm install --prefix .venv/node @asyncapi/parser` : `${error.message}`);
  process.exit(2);
}
const { document, diagnostics } = await new Parser().parse(text, { source: file });
const found = diagnostics.filter((one) => one.severity <= 1).map((one) => `${one.path.join(".")}: ${one.message}`);
console.log(JSON.stringify({ version: document?.version(), channels: document?.channels().length ?? 0, found }));
process.exit(document && !found.length ? 0 : 1);
