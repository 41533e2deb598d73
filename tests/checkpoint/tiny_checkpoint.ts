/**
 * Small safetensors checkpoints in memory, for tests that need one with a defect or an odd size.
 *
 * @module
 */
import { blobSource, type ModelSource } from "../../src/checkpoint/source.ts";

/** A tensor to write. */
export interface TensorData {
  /** Type, as safetensors spells it. */
  readonly dtype: string;
  /** Extents, outermost first. */
  readonly shape: readonly number[];
  /** Its bytes. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** A config of the smallest Llama. */
export const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 40,
  max_position_embeddings: 64,
  tie_word_embeddings: false,
};

/** Tensors of `CONFIG` with another hidden and intermediate size, all of one type; numbers count up from 0. */
export function tensorsOf(
  dtype: "F32" | "F16" | "BF16",
  { hidden_size: hidden, intermediate_size: intermediate, vocab_size: vocab } = CONFIG,
): Map<string, TensorData> {
  const q = 64;
  const kv = 32;
  const shapes: [string, number[]][] = [
    ["model.embed_tokens", [vocab, hidden]],
    ["model.layers.0.input_layernorm", [hidden]],
    ["model.layers.0.self_attn.q_proj", [q, hidden]],
    ["model.layers.0.self_attn.k_proj", [kv, hidden]],
    ["model.layers.0.self_attn.v_proj", [kv, hidden]],
    ["model.layers.0.self_attn.o_proj", [hidden, q]],
    ["model.layers.0.post_attention_layernorm", [hidden]],
    ["model.layers.0.mlp.gate_proj", [intermediate, hidden]],
    ["model.layers.0.mlp.up_proj", [intermediate, hidden]],
    ["model.layers.0.mlp.down_proj", [hidden, intermediate]],
    ["model.norm", [hidden]],
    ["lm_head", [vocab, hidden]],
  ];
  return new Map(shapes.map(([name, shape], tensor) => {
    const length = shape.reduce((product, extent) => product * extent, 1);
    // Small multiples of a power of two: every type holds them.
    const values = Float32Array.from({ length }, (_, i) => ((i * 7 + tensor * 13) % 255 - 127) / 128);
    return [`${name}.weight`, { dtype, shape, data: encode(dtype, values) }];
  }));
}

/** Values as the bytes of a type. */
export function encode(dtype: "F32" | "F16" | "BF16", values: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (dtype === "F32") return new Uint8Array(values.buffer);
  if (dtype === "F16") return new Uint8Array(Float16Array.from(values).buffer);
  return new Uint8Array(Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16).buffer);
}

/** A safetensors file. */
export function safetensors(tensors: ReadonlyMap<string, TensorData>): Blob {
  let end = 0;
  const table: Record<string, unknown> = {};
  for (const [name, { dtype, shape, data }] of tensors) {
    table[name] = { dtype, shape, data_offsets: [end, end += data.length] };
  }
  const text = JSON.stringify(table);
  const header = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  return new Blob([length, header, ...[...tensors.values()].map(({ data }) => data)]);
}

/** A source of a config, tensors in one file, and further files. */
export function sourceOf(
  tensors: ReadonlyMap<string, TensorData> | undefined,
  config: Readonly<Record<string, unknown>> = CONFIG,
  files: Readonly<Record<string, string | Blob>> = {},
): ModelSource {
  const all = new Map<string, Blob>([["config.json", new Blob([JSON.stringify(config)])]]);
  if (tensors !== undefined) all.set("model.safetensors", safetensors(tensors));
  for (const [name, content] of Object.entries(files)) all.set(name, new Blob([content]));
  return blobSource(all, "tiny");
}
