/**
 * Errors that the far-copy model has to show: each changes one thing in how the runtime computes, from outside, by an
 * option or in the text of a kernel on its way to the compiler.
 *
 * @module
 */
import type { KvFormat, LoadOptions } from "../../mod.ts";
import type { FarCopyModel } from "./far_copy_model.ts";
import { watchedTile } from "./far_copy_tokens.ts";

/** One error. */
export interface Mutation {
  readonly name: string;
  /** Format of the cache that it is tried with; together they cover all. */
  readonly kvCache: KvFormat;
  /** Replaces the model's RoPE scaling. */
  readonly ropeScaling?: LoadOptions["ropeScaling"];
  /** Changes kernels. */
  readonly patches?: readonly Patch[];
}

/** A change to the text of kernels. */
export interface Patch {
  /** Kernels, by their labels. */
  readonly kernels: RegExp;
  /** What to replace. */
  readonly search: RegExp;
  /** What with. */
  readonly replacement: string;
}

/** The errors, for one model. */
export function mutationsOf({ shape, config }: FarCopyModel): Mutation[] {
  const half = shape.contextLength / 2;
  const scaling = config.rope_scaling as Readonly<Record<string, unknown>>;
  const tile = watchedTile(shape);
  return [
    {
      name: "attention factor dropped",
      kvCache: "f16",
      ropeScaling: { ...scaling, attention_factor: 1 },
    },
    {
      name: `positions from ${half} on off by one`,
      kvCache: "q8",
      patches: [{
        kernels: /^(rope_kv|attention_decode)/,
        search: /table\[position \*/g,
        replacement: `table[(position + select(0u, 1u, position >= ${half}u)) *`,
      }],
    },
    {
      name: "ramp from the extended length",
      kvCache: "q4",
      ropeScaling: { ...scaling, original_max_position_embeddings: shape.contextLength },
    },
    {
      name: `keys ${tile} to ${tile + 7} skipped`,
      kvCache: "q8",
      patches: [{
        kernels: /^attention_(prefill|decode)/,
        search: /for \(var tile = .*\{\n/g,
        replacement: `$&if (tile == ${tile}u) { continue; }\n`,
      }],
    },
    {
      name: `the split with key ${half} lost`,
      kvCache: "q4",
      patches: [{
        kernels: /^attention_merge/,
        search: /for \(var s = strip;.*\{\n/g,
        replacement: `$&if (s == ${half}u / SPLIT) { continue; }\n`,
      }],
    },
  ];
}

/** Makes a device change the kernels that it compiles. Nothing else about it changes. */
export function patchKernels(device: GPUDevice, patches: readonly Patch[]): void {
  const compile = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    let { code } = descriptor;
    for (const { search, replacement } of patches.filter(({ kernels }) => kernels.test(descriptor.label ?? ""))) {
      const patched = code.replace(search, replacement);
      // An error that is not there would be one that does not show.
      if (patched === code) throw new Error(`Cannot change kernel ${descriptor.label}: it has nothing like ${search}`);
      code = patched;
    }
    return compile({ ...descriptor, code });
  };
}
