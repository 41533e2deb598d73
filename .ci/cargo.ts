/**
 * Runs the Rust core's tests where cargo is installed. Users need no Rust, and neither does the rest of `ok`: the
 * built Wasm is committed.
 *
 * @module
 */
let status: Deno.CommandStatus;
try {
  status = await new Deno.Command("cargo", { args: ["test", "--locked"], cwd: new URL("../wasm", import.meta.url) })
    .spawn().status;
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable)) throw error;
  console.error("skein: cargo is not installed, the Rust core's own tests are left to machines that have it");
  Deno.exit(0);
}
Deno.exit(status.code);
