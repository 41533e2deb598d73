/**
 * `fast-check` under its bare name.
 *
 * @module
 */
// deno-lint-ignore-file no-import-prefix
export * from "npm:fast-check@4.10.2";
export { default } from "npm:fast-check@4.10.2";
