import { assert, assertEquals, assertRejects } from "@std/assert";
import { ShaderError } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { selfTest } from "../../src/kernels/self_test.ts";

/** A device whose compiler sees other WGSL than it was given in one kernel. */
async function brokenGpu(kernel: string, from: string, to: string): Promise<Gpu> {
  const gpu = await Gpu.request();
  const compile = gpu.device.createShaderModule.bind(gpu.device);
  gpu.device.createShaderModule = (descriptor) => {
    if (!descriptor.label?.startsWith(kernel)) return compile(descriptor);
    const code = descriptor.code.replaceAll(from, to);
    assert(code !== descriptor.code, `${kernel} has no ${from}`);
    return compile({ ...descriptor, code });
  };
  return gpu;
}

Deno.test("selfTest() passes on this adapter, frees its tensors and runs once a device", async () => {
  using gpu = await Gpu.request();
  await selfTest(gpu);
  assertEquals(gpu.allocatedBytes, 0);
  const before = gpu.pipelines.size;
  gpu.submit = () => {
    throw new Error("It ran again");
  };
  await selfTest(gpu);
  assertEquals(gpu.pipelines.size, before);
});

for (
  const [kernel, from, to] of [
    ["rms_norm", "params.eps", "params.eps + 0.01"],
    ["matvec", "unpack2x16float(", "1.01 * unpack2x16float("],
    ["argmax", "key_here > key", "key_here < key"],
  ] as const
) {
  Deno.test(`selfTest() names ${kernel} where it computes wrongly`, async () => {
    using gpu = await brokenGpu(kernel, from, to);
    const error = await assertRejects(() => selfTest(gpu), ShaderError, `computes wrongly on ${gpu.name}: value`);
    assert(error.kernel.startsWith(kernel));
    assertEquals(gpu.allocatedBytes, 0);
  });
}

Deno.test("selfTest() names the kernel that does not compile, and where", async () => {
  using gpu = await brokenGpu("rms_norm", "let scale =", "let scale = nonsense +");
  const error = await assertRejects(
    () => selfTest(gpu),
    ShaderError,
    'Cannot compile kernel rms_norm at "let scale = ',
  );
  assertEquals(error.kernel, "rms_norm");
});
