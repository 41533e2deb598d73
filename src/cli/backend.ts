/**
 * Which implementation of WebGPU, and which of the system's GPU interfaces, the process asks for an adapter.
 *
 * @module
 */
import { GpuUnavailableError } from "../errors.ts";

/** What `--device` takes. */
export const DEVICES = ["auto", "deno", "dawn"] as const;

/** Chromium's WebGPU as a native add-on. No import names it, so that only who asks for it fetches its 45 MB. */
const DAWN = "npm:webgpu@0.6.2";

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

/**
 * Puts Dawn in the place of Deno's own WebGPU, for everything that the process does from then on.
 *
 * @throws {GpuUnavailableError} If the add-on cannot be fetched or loaded, or finds no adapter.
 */
export async function useDawn(): Promise<void> {
  let gpu: GPU;
  try {
    const { create } = await import(DAWN);
    // Dawn rounds timestamps to 0.1 ms unless told otherwise.
    gpu = create(["disable-dawn-features=timestamp_quantization"]);
  } catch (cause) {
    throw new GpuUnavailableError(
      `Cannot load Dawn: run deno task skein:dawn in place of deno task skein, with the network the first time (${
        firstLine(cause)
      })`,
      { cause },
    );
  }
  if (await gpu.requestAdapter() === null) {
    throw new GpuUnavailableError("Dawn finds no adapter: as a software adapter it wants Mesa 25 or newer");
  }
  Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
}

function firstLine(error: unknown): string {
  return (error as Error).message.split("\n", 1)[0]!;
}
