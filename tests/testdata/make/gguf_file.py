"""Writes a checkpoint as GGUF: llama.cpp's names, q/k row order and metadata; tensors by the gguf package's quantiser."""

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, RopeScalingType, TokenType
from gguf.quants import dequantize, quantize

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
}


def gguf_name(name):
    parts = name.split(".")
    if parts[1] == "layers":
        return f"blk.{parts[2]}.{NAMES['.'.join(parts[3:-1])]}.{parts[-1]}"
    return {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }[name]


def interleave(rows, n_heads):
    """Half-split rotation pairs (j, j + d/2), as Hugging Face has them, to llama.cpp's neighbours (2j, 2j + 1)."""
    return rows.reshape(n_heads, 2, rows.shape[0] // n_heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def storage_type(name, weight, kind):
    """The ggml type that `name` is stored in: vectors are always F32, as llama.cpp's converter has it."""
    return GGMLQuantizationType.F32 if weight.ndim == 1 else GGMLQuantizationType[kind]


def stored_values(weights, kind):
    """The weights after the round trip through `kind`: what a reader of the file computes with."""
    stored = {}
    for name, weight in weights.items():
        storage = storage_type(name, weight, kind)
        values = dequantize(quantize(weight.numpy(), storage), storage).reshape(weight.shape)
        stored[name] = torch.from_numpy(values.astype(np.float32))
    return stored


def llama3_factors(config, head_dim):
    """What llama.cpp's converter makes of Llama 3.1's scaling: the divisor of each frequency, in float32."""
    scaling = config["rope_scaling"]
    original, low, high = (scaling[key] for key in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    frequencies = 1.0 / (config["rope_theta"] ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim))
    factors = []
    for wavelength in 2 * np.pi / frequencies:
        smooth = min(1.0, max(0.0, float(original / wavelength - low) / (high - low)))
        factors.append(1 / ((1 - smooth) / scaling["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def write(path, config, weights, tokenizer, kind, blocks={}):
    """`blocks` has tensors that are quantised already: their type, and rows of bytes."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", config["hidden_size"] // heads)
    # llama.cpp calls Mistral a llama, and the window alone tells it.
    architecture = config.get("model_type", "llama").replace("mistral", "llama")
    out = GGUFWriter(path, architecture)
    out.add_name("tiny llama")
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_key_length(head_dim)
    out.add_value_length(head_dim)
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base(config["rope_theta"])
    out.add_rope_dimension_count(head_dim)
    out.add_vocab_size(config["vocab_size"])
    scaling = config.get("rope_scaling")
    if scaling and scaling.get("rope_type") == "llama3":
        out.add_tensor("rope_freqs.weight", llama3_factors(config, head_dim))
    elif scaling:
        out.add_rope_scaling_type(RopeScalingType.YARN)
        out.add_rope_scaling_factor(scaling["factor"])
        out.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])
        out.add_rope_scaling_finetuned(scaling.get("finetuned", False))
    if architecture == "llama" and "sliding_window" in config:
        out.add_sliding_window(config["sliding_window"])
    add_tokenizer(out, config, tokenizer)
    for name, weight in weights.items():
        stored, values = blocks.get(name, (None, weight.numpy()))
        for projection, count in (("q_proj", heads), ("k_proj", kv_heads)):
            if projection in name and architecture == "llama":
                values = np.ascontiguousarray(interleave(values, count))
        if stored is not None:
            out.add_tensor(gguf_name(name), values, raw_dtype=GGMLQuantizationType[stored])
            continue
        storage = storage_type(name, weight, kind)
        out.add_tensor(gguf_name(name), quantize(values, storage), raw_dtype=storage)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def add_tokenizer(out, config, tokenizer):
    import json

    model = json.loads(tokenizer.to_str())
    pieces = sorted(model["model"]["vocab"].items(), key=lambda entry: entry[1])
    special = {token["id"] for token in model["added_tokens"]}
    unused = [f"[unused{index}]" for index in range(len(pieces), config["vocab_size"])]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list([piece for piece, _ in pieces] + unused)
    out.add_token_types(
        [TokenType.CONTROL if index in special else TokenType.NORMAL for _, index in pieces]
        + [TokenType.UNUSED] * len(unused)
    )
    out.add_token_merges([" ".join(merge) for merge in model["model"]["merges"]])
    out.add_bos_token_id(config["bos_token_id"])
    out.add_eos_token_id(config["eos_token_id"])
    out.add_add_bos_token(True)
