/**
 * `fast-check` under its bare name, with one seed for all properties: what was green yesterday and is not today was
 * changed. `FAST_CHECK_SEED=7 deno task test` looks elsewhere.
 *
 * @module
 */
// deno-lint-ignore-file no-import-prefix
import fc from "npm:fast-check@4.10.2";

fc.configureGlobal({ seed: Number(Deno.env.get("FAST_CHECK_SEED") ?? 20_261_124) });

export * from "npm:fast-check@4.10.2";
export default fc;
