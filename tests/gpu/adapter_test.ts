import { assert, assertEquals } from "@std/assert";
import { requestDevice, wantsEnableSubgroups } from "../../src/gpu/adapter.ts";

Deno.test("requestDevice() asks for the adapter's limits", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await requestDevice();
  for (const name of ["maxStorageBufferBindingSize", "maxBufferSize", "maxComputeInvocationsPerWorkgroup"] as const) {
    assertEquals(device.limits[name], adapter!.limits[name]);
  }
  device.destroy();
});

Deno.test("wantsEnableSubgroups() finds out by a trial, and leaves no error behind", async () => {
  const device = await requestDevice();
  const errors: string[] = [];
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    errors.push((event as GPUUncapturedErrorEvent).error.message);
  });
  const wanted = await wantsEnableSubgroups(device);
  if (device.features.has("subgroups")) {
    const code = `${wanted ? "enable subgroups;\n" : ""}@compute @workgroup_size(1) fn main() { _ = subgroupAdd(1u); }`;
    const module = device.createShaderModule({ code });
    assertEquals((await module.getCompilationInfo()).messages.filter(({ type }) => type === "error"), []);
  } else {
    assert(!wanted);
  }
  assertEquals(errors, []);
  device.destroy();
});

Deno.test("requestDevice() gives a device that outlives its adapter", async () => {
  const script = `
    const { requestDevice } = await import(${
    JSON.stringify(new URL("../../src/gpu/adapter.ts", import.meta.url).href)
  });
    const device = await requestDevice();
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
    gc();
    console.log(device.adapterInfo.description.length > 0);`;
  // A process of its own: where the adapter is asked after its end, Deno panics.
  const { stdout } = await new Deno.Command("deno", {
    args: ["eval", "--no-lock", "--v8-flags=--expose-gc", script],
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "true\n");
});

Deno.test("without an adapter, Gpu.request() says which package is missing", async () => {
  const script = `
    const { Gpu } = await import(${JSON.stringify(new URL("../../src/gpu/device.ts", import.meta.url).href)});
    await Gpu.request().then(() => console.log("opened"), ({ name, message }) => console.log(name + ": " + message));`;
  const { stdout } = await new Deno.Command("deno", {
    args: ["eval", "--no-lock", script],
    env: { DENO_WEBGPU_BACKEND: "vulkan", VK_ICD_FILENAMES: "/nonexistent", VK_DRIVER_FILES: "/nonexistent" },
  }).output();
  assertEquals(
    new TextDecoder().decode(stdout).trim(),
    "GpuUnavailableError: No WebGPU adapter found: install a Vulkan driver " +
      "(without a GPU: Debian and Ubuntu packages mesa-vulkan-drivers and libvulkan1)",
  );
});
