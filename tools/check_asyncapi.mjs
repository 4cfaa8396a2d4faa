// The AsyncAPI project's own parser over our document:  node tools/check_asyncapi.mjs docs/schemas/asyncapi.json
// Needs @asyncapi/parser, beside this file or in the folder that ASYNCAPI_PARSER names. Exit code 1: it found something.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const place = process.env.ASYNCAPI_PARSER ?? import.meta.dirname ?? ".";
const { Parser } = createRequire(resolve(place, "here.js"))("@asyncapi/parser");
const file = resolve(process.argv[2]);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"), { source: file });
const found = diagnostics.filter((one) => one.severity <= 1).map((one) => `${one.path.join(".")}: ${one.message}`);
console.log(JSON.stringify({ version: document?.version(), channels: document?.channels().length ?? 0, found }));
process.exit(document && !found.length ? 0 : 1);
