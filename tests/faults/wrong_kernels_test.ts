import { assert, assertRejects } from "@std/assert";
import { loadModel, type LoadOptions, ShaderError } from "../../mod.ts";
import { Recorder } from "../../src/gpu/recorder.ts";

/** A device with every feature, whose compiler makes another kernel of one than its source says. */
async function miscompiling(kernel: string, change: (code: string) => string): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  const features = ["subgroups", "shader-f16"] as GPUFeatureName[];
  const device = await adapter!.requestDevice({ requiredFeatures: features });
  void device.adapterInfo;
  const compile = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    if (descriptor.label !== kernel) return compile(descriptor);
    const code = change(descriptor.code);
    assert(code !== descriptor.code, `${kernel} has nothing to change`);
    return compile({ ...descriptor, code });
  };
  return device;
}

/** Kernels that loading a model and decoding a greedy token dispatch, but for those that store weights. */
async function kernelsOf(path: string, options: LoadOptions): Promise<string[]> {
  const names = new Set<string>();
  const { dispatch } = Recorder.prototype;
  Recorder.prototype.dispatch = function (this: Recorder, kernel, ...rest): void {
    names.add(kernel.name);
    dispatch.call(this, kernel, ...rest);
  } as typeof dispatch;
  try {
    const device = await miscompiling("none", (code) => code);
    using model = await loadModel(path, { ...options, device });
    names.clear();
    await model.generate([5, 6, 7, 8, 9], { maxTokens: 3 }).result;
    device.destroy();
  } finally {
    Recorder.prototype.dispatch = dispatch;
  }
  return [...names];
}

/** A kernel whose result is off by half, or whose choice is the wrong one. */
function spoiled(kernel: string, code: string): string {
  if (kernel === "argmax") return code.replaceAll("key_here > key", "key_here < key");
  if (kernel === "advance") return code.replaceAll("candidate.x > key", "candidate.x < key");
  const begin = code.lastIndexOf("@compute");
  return code.slice(0, begin) + code.slice(begin)
    // Of what a split of attention leaves, outputs alone: scaled with their sum they would mean the same.
    .replace(/\b(partials\[[^;=]*\] = )([^;]+);/, "$1($2) * 1.5;")
    .replace(/\b((?:out|q|qkv)\[[^;=]*\] \+?= )([^;]+);/g, "$1($2) * 1.5;");
}

Deno.test("a kernel that computes wrongly is refused by its name, whichever of those that every token takes", async () => {
  const folder = new URL("../testdata/tiny/qwen3_yarn", import.meta.url).pathname;
  const settings = { weights: "q4", kvCache: "f16", contextLength: 64, prefillChunk: 16 } as const;
  const kernels = await kernelsOf(folder, settings);
  assert(kernels.length >= 10, kernels.join());
  for (const kernel of kernels) {
    const device = await miscompiling(kernel, (code) => spoiled(kernel, code));
    const load = () => loadModel(folder, { ...settings, device });
    const error = await assertRejects(load, ShaderError, "computes wrongly on ");
    assert(error.message.split(" computes")[0]!.split(" ").includes(kernel), `${kernel}: ${error.message}`);
    device.destroy();
  }
});
