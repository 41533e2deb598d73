/**
 * Finding a device, and finding out what its compiler wants.
 *
 * @module
 */
import { GpuUnavailableError } from "../errors.ts";

/** Limits that kernels and large tensors profit from; WebGPU grants the defaults unless they are asked for. */
const WANTED_LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxStorageBuffersPerShaderStage",
] as const;

/** What to tell somebody whose machine has no adapter. */
export const NO_ADAPTER =
  "No WebGPU adapter found: install a Vulkan driver (without a GPU: Debian and Ubuntu packages mesa-vulkan-drivers and libvulkan1)";

/**
 * The default adapter's device, with the adapter's limits and every optional feature that it grants.
 *
 * @throws {GpuUnavailableError} If there is no adapter, or it gives no device.
 */
export async function requestDevice(): Promise<GPUDevice> {
  let adapter: GPUAdapter | null | undefined;
  try {
    adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    throw new GpuUnavailableError(NO_ADAPTER, { cause });
  }
  if (adapter === null || adapter === undefined) throw new GpuUnavailableError(NO_ADAPTER);
  const requiredLimits = Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]]));
  const listed = (["shader-f16", "timestamp-query"] as GPUFeatureName[]).filter((name) => adapter.features.has(name));
  // Deno grants "subgroups" without listing it, so that only asking tells.
  const attempts: GPUFeatureName[][] = [[...listed, "subgroups" as GPUFeatureName], listed, []];
  let failure: unknown;
  for (const requiredFeatures of attempts) {
    try {
      const device = await adapter.requestDevice({ label: "skein", requiredLimits, requiredFeatures });
      // Deno asks the adapter on first use, keeps the answer, and panics where the adapter is garbage by then.
      void device.adapterInfo;
      return device;
    } catch (error) {
      failure = error;
    }
  }
  throw new GpuUnavailableError(`The WebGPU adapter gives no device: ${(failure as Error).message}`, {
    cause: failure,
  });
}

/** Whether this device's compiler wants `enable subgroups;`: naga rejects the line and Dawn demands it. */
export async function wantsEnableSubgroups(device: GPUDevice): Promise<boolean> {
  if (!device.features.has("subgroups")) return false;
  device.pushErrorScope("validation");
  const code = "enable subgroups;\n@compute @workgroup_size(1) fn main() { _ = subgroupAdd(1u); }";
  const module = device.createShaderModule({ label: "subgroups trial", code });
  const { messages } = await module.getCompilationInfo();
  return await device.popErrorScope() === null && !messages.some(({ type }) => type === "error");
}
