/**
 * Holds random texts to JSON Schemas, and checks that every one is valid.
 *
 * usage: deno task grammar:schemas COUNT SEED [MODEL]
 *
 * @module
 */
import { loadModel } from "../../mod.ts";
import { schemas } from "./json_schemas.ts";
import { trySchemas } from "./schema_run.ts";

const [count, seed] = Deno.args.map(Number);
if (!Number.isSafeInteger(count) || !Number.isSafeInteger(seed)) {
  console.error("usage: deno task grammar:schemas COUNT SEED [MODEL]");
  Deno.exit(1);
}
const bundled = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
using model = await loadModel(Deno.args[2] ?? bundled);
let valid = 0;
let characters = 0;
for await (const { name, text, wrong } of trySchemas(model, count!, seed!)) {
  if (wrong === "") valid++;
  else console.log(`${name}: ${wrong}: ${text}`);
  characters += text.length;
}
console.log(
  `${valid} of ${count} texts of ${characters} characters are valid, under ${Object.keys(schemas).length} schemas`,
);
if (valid < count!) Deno.exitCode = 1;
