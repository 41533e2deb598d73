/**
 * Which of the system's GPU interfaces the process asks for an adapter.
 *
 * @module
 */

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
