/**
 * The official client of the OpenAI API, which the server is tested with.
 *
 * @module
 */
// Named here and not in deno.json, because `deno task` fetches what is named there even for commands without tests.
// deno-lint-ignore no-import-prefix
export * from "npm:openai@7.57.0";
// deno-lint-ignore no-import-prefix
export { default } from "npm:openai@7.57.0";
