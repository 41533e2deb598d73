import { assertEquals, assertStringIncludes } from "@std/assert";

const LAUNCHER = new URL("../../src/cli/with_adapter.ts", import.meta.url).pathname;

/** Starts the launcher without the right to know who the user is, without which it installs nothing. */
async function launch(args: string[], env: Record<string, string> = {}): Promise<Deno.CommandOutput> {
  return await new Deno.Command("deno", {
    args: [
      ...["run", "-q", "--no-prompt", "--allow-env=DENO_WEBGPU_BACKEND,XDG_RUNTIME_DIR,PATH", "--allow-run"],
      ...[LAUNCHER, ...args],
    ],
    env,
  }).output();
}

Deno.test("with_adapter runs a command with its arguments and hands its status on", async () => {
  const code = "console.log(JSON.stringify(Deno.args)); Deno.exit(7)";
  const output = await launch(["deno", "eval", code, "a b", "--c", ""]);
  assertEquals([output.code, new TextDecoder().decode(output.stdout)], [7, '["a b","--c",""]\n']);
});

Deno.test("with_adapter asks for Vulkan on Linux unless told otherwise", async () => {
  const code = "console.log(Deno.env.get('DENO_WEBGPU_BACKEND') ?? 'default')";
  const output = await launch(["deno", "eval", code], { DENO_WEBGPU_BACKEND: "" });
  assertEquals(new TextDecoder().decode(output.stdout), Deno.build.os === "linux" ? "vulkan\n" : "default\n");
});

Deno.test("with_adapter runs nothing where there is no adapter and it may not install one", async () => {
  const output = await launch(["deno", "eval", "console.log('ran')"], {
    VK_ICD_FILENAMES: "/nonexistent",
    VK_DRIVER_FILES: "/nonexistent",
  });
  assertEquals([output.code, new TextDecoder().decode(output.stdout)], [1, ""]);
  assertStringIncludes(new TextDecoder().decode(output.stderr), "mesa-vulkan-drivers");
});
