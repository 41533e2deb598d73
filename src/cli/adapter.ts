/**
 * Which adapter the command line's process takes, and what to install where there is none.
 *
 * @module
 */

/** What a Linux machine without a GPU driver needs, by distribution. */
export const DRIVER_PACKAGES: string =
  "mesa-vulkan-drivers and libvulkan1 on Debian and Ubuntu, mesa-vulkan-drivers on Fedora, vulkan-swrast on Arch";

/**
 * Makes the process ask for a Vulkan adapter on Linux: with no Vulkan driver wgpu would fall back to OpenGL, whose
 * software adapter is another one than the tests and figures are about. Takes effect before the first request only.
 * Elsewhere, and where the caller has chosen, it changes nothing.
 */
export function chooseBackend(): void {
  if (Deno.build.os !== "linux") return;
  if (!Deno.env.get("DENO_WEBGPU_BACKEND")) Deno.env.set("DENO_WEBGPU_BACKEND", "vulkan");
  // wgpu looks for a Wayland display, whose library prints an error on every machine without a session.
  if (!Deno.env.get("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/nonexistent");
}

/** True where WebGPU has an adapter. */
export async function hasAdapter(): Promise<boolean> {
  // Deno rejects instead of resolving to null where the loader finds no driver at all.
  return await navigator.gpu.requestAdapter().catch(() => null) !== null;
}
