import { assert, assertRejects } from "@std/assert";
import { blobSource, loadModel, type LoadOptions, ShaderError } from "../../mod.ts";
import { Recorder } from "../../src/gpu/recorder.ts";

/** A device with every feature, whose compiler makes another kernel of one than its source says. */
async function miscompiling(
  kernel: string,
  change: (code: string) => string,
  isMeant: (code: string) => boolean = () => true,
): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  const features = ["subgroups", "shader-f16"] as GPUFeatureName[];
  const device = await adapter!.requestDevice({ requiredFeatures: features });
  void device.adapterInfo;
  const compile = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    if (descriptor.label !== kernel || !isMeant(descriptor.code)) return compile(descriptor);
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

Deno.test("a specialisation that computes wrongly is refused, whichever number of vectors or of keys it is for", async () => {
  const folder = new URL("../testdata/tiny/qwen3_yarn", import.meta.url).pathname;
  const settings = { weights: "q4", kvCache: "f16", contextLength: 512, prefillChunk: 16 } as const;
  for (
    const [kernel, constant] of [
      ["matmul_direct.q4", /const TOKENS\b[^;]*= 8u?;/],
      ["attention_decode_direct.f16", /const WHOLE\b[^;]*= false;/],
      ["attention_decode_direct.f16", /const WHOLE\b[^;]*= true;/],
      ["attention_merge", /./],
    ] as const
  ) {
    const device = await miscompiling(kernel, (code) => spoiled(kernel, code), (code) => constant.test(code));
    const load = () => loadModel(folder, { ...settings, device });
    const error = await assertRejects(load, ShaderError, "computes wrongly on ");
    assert(error.message.split(" computes")[0]!.split(" ").includes(kernel), `${kernel}: ${error.message}`);
    device.destroy();
  }
});

/** The tiny model with gains of its queries and keys 30 times as large. */
async function withLargeGains(): Promise<ReturnType<typeof blobSource>> {
  const folder = new URL("../testdata/tiny/qwen3_yarn/", import.meta.url);
  const files = new Map<string, Blob>();
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]) {
    const bytes = await Deno.readFile(new URL(name, folder));
    if (name === "model.safetensors") {
      const begin = 8 + new DataView(bytes.buffer).getUint32(0, true);
      const header: Record<string, { dtype: string; data_offsets?: [number, number] }> = JSON.parse(
        new TextDecoder().decode(bytes.subarray(8, begin)),
      );
      for (const [tensor, { dtype, data_offsets: [first, end] = [0, 0] }] of Object.entries(header)) {
        if (!/[qk]_norm/.test(tensor)) continue;
        assert(dtype === "F16");
        const gains = new Float16Array(bytes.slice(begin + first, begin + end).buffer).map((gain) => gain * 30);
        bytes.set(new Uint8Array(gains.buffer), begin + first);
      }
    }
    files.set(name, new Blob([bytes]));
  }
  return blobSource(files);
}

Deno.test("attention that computes wrongly is refused in each cache format, however large the gains of its norm", async () => {
  const source = await withLargeGains();
  for (const kvCache of ["f16", "q8", "q4"] as const) {
    const settings = { weights: "q4", kvCache, contextLength: 64, prefillChunk: 16 } as const;
    using _right = await loadModel(source, settings);
    for (const kernel of [`attention_prefill_direct.${kvCache}`, `attention_decode_direct.${kvCache}`, "head_norm"]) {
      const device = await miscompiling(kernel, (code) => spoiled(kernel, code));
      const load = () => loadModel(source, { ...settings, device });
      const error = await assertRejects(load, ShaderError, "computes wrongly on ");
      assert(error.message.split(" computes")[0]!.split(" ").includes(kernel), `${kernel}: ${error.message}`);
      device.destroy();
    }
  }
});
