/**
 * Runs schemathesis against `serve` by its own OpenAPI document: answers must be documented in status, content-type,
 * headers and schema, and none may be a 5xx.
 *
 * usage: deno task schemathesis SCHEMATHESIS [EXAMPLES [SEED]]: the program of the Python package, 100 examples of each
 * route and seed 1 unless given
 *
 * Requests name the model that is served and tokens that it has, which the document does not know; else nearly all would
 * be refused for that. A request that fits the document may still be refused: for what depends on several fields, and
 * for schemas that the model cannot be held to.
 *
 * @module
 */
import { chatFolder } from "../chat/chat_folder.ts";
import { startServed } from "./served_process.ts";

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "missing_required_header",
  "unsupported_method",
  "allow_header_conformance",
  "ignored_auth",
  "negative_data_rejection",
];

const KEY = "sk-schemathesis";

const [program, examples = "100", seed = "1"] = Deno.args;
if (program === undefined || !/^\d+$/.test(examples) || !/^\d+$/.test(seed)) {
  console.error("skein: Expected SCHEMATHESIS [EXAMPLES [SEED]], the last two whole numbers");
  Deno.exit(1);
}
await using folder = await chatFolder();
const scratch = await Deno.makeTempDir();
try {
  // A short context bounds answers that no request bounds.
  await using served = await startServed([folder.path, "--api-key", KEY, "--context-length", "96"]);
  const headers = { authorization: `Bearer ${KEY}` };
  const ask = async (path: string) => await (await fetch(served.url + path, { headers })).json();
  const schema = await ask("/openapi.json");
  const { data: [{ id }] } = await ask("/v1/models");
  const { ChatRequest: chat, CompletionRequest: completion, ToolCall: call } = schema.components.schemas;
  for (const { properties } of [chat, completion]) {
    properties.model.enum = [id];
    properties.n.maximum = 3;
    properties.logit_bias.propertyNames = { pattern: "^[0-9]{1,3}$" };
  }
  // Ids of the model's vocabulary, and no more choices of all prompts than are allowed.
  const [, ids, texts, several] = completion.properties.prompt.oneOf;
  for (const list of [ids, several.items]) list.items.maximum = 4095;
  for (const list of [texts, several]) list.maxItems = 4;
  delete completion.properties.best_of;
  // JSON in a text.
  call.properties.function.properties.arguments.enum = ["{}", '{"a": 1}'];
  await Deno.writeTextFile(`${scratch}/openapi.json`, JSON.stringify(schema));
  const { code } = await new Deno.Command(program, {
    args: [
      "run",
      `${scratch}/openapi.json`,
      `--url=${served.url}`,
      `--header=Authorization: Bearer ${KEY}`,
      `--checks=${CHECKS.join(",")}`,
      `--max-examples=${examples}`,
      `--seed=${seed}`,
      "--phases=examples,coverage,fuzzing",
      "--generation-database=none",
      "--warnings=off",
      "--continue-on-failure",
      "--no-shrink",
      "--request-timeout=60",
      "--no-color",
    ],
    cwd: scratch,
  }).spawn().status;
  const statuses = new Map<string, number>();
  for (const [, status] of served.log().matchAll(/ [A-Z]+ \S+ (\d{3}) \d+ ms/g)) {
    statuses.set(status!, (statuses.get(status!) ?? 0) + 1);
  }
  const counts = [...statuses].sort(([a], [b]) => a.localeCompare(b)).map(([status, count]) => `${count} x ${status}`);
  console.log(`answers: ${counts.join(", ")}`);
  Deno.exitCode = code;
} finally {
  await Deno.remove(scratch, { recursive: true });
}
