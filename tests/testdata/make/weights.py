"""Random Llama weights whose logits are far from uniform and that every 16-bit form stores exactly."""

import numpy as np
import torch


def exact_in_16_bits(values):
    """Rounds float64 values to numbers that bfloat16 and float16 both hold: 8 bits of mantissa, no float16 subnormals."""
    rounded = torch.from_numpy(values.astype(np.float32)).to(torch.bfloat16).float()
    return torch.where(rounded.abs() < 2.0**-14, torch.zeros(()), rounded)


def random_weights(config, seed):
    """State dict (float32) for a config.json's dict. Gains keep attention peaked and logits spread by about 2.5 nats, so
    that a wrong position, head or factor moves every logprob."""
    rng = np.random.default_rng(seed)
    hidden, intermediate, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim", hidden // heads)
    tied = config["tie_word_embeddings"]
    architecture = config["architectures"][0]
    biased = ("q_proj", "k_proj", "v_proj", "o_proj") if config.get("attention_bias") else ()
    if architecture == "Qwen2ForCausalLM":
        biased = ("q_proj", "k_proj", "v_proj")

    def matrix(rows, columns, gain=1.0):
        return exact_in_16_bits(rng.standard_normal((rows, columns)) * gain / np.sqrt(columns))

    def norm(width=hidden):
        return exact_in_16_bits(1 + 0.2 * rng.standard_normal(width))

    def bias(rows):
        return exact_in_16_bits(0.5 * rng.standard_normal(rows))

    weights = {"model.embed_tokens.weight": matrix(vocabulary, hidden, 2.5 if tied else np.sqrt(hidden))}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        weights[prefix + "input_layernorm.weight"] = norm()
        for name, rows, columns, gain in (
            ("q_proj", heads * head_dim, hidden, 1.5),
            ("k_proj", kv_heads * head_dim, hidden, 1.5),
            ("v_proj", kv_heads * head_dim, hidden, 1.0),
            ("o_proj", hidden, heads * head_dim, 1.0),
        ):
            weights[f"{prefix}self_attn.{name}.weight"] = matrix(rows, columns, gain)
            if name in biased:
                weights[f"{prefix}self_attn.{name}.bias"] = bias(rows)
        if architecture == "Qwen3ForCausalLM":
            # Larger gains, because normalised queries and keys alone would attend to everything alike.
            for name in ("q_norm", "k_norm"):
                weights[f"{prefix}self_attn.{name}.weight"] = exact_in_16_bits(1.5 * norm(head_dim).numpy())
        weights[prefix + "post_attention_layernorm.weight"] = norm()
        for name, rows, columns in (
            ("gate_proj", intermediate, hidden),
            ("up_proj", intermediate, hidden),
            ("down_proj", hidden, intermediate),
        ):
            weights[f"{prefix}mlp.{name}.weight"] = matrix(rows, columns, 1.5)
            if config.get("mlp_bias"):
                weights[f"{prefix}mlp.{name}.bias"] = bias(rows)
    weights["model.norm.weight"] = norm()
    if not tied:
        weights["lm_head.weight"] = matrix(vocabulary, hidden, 2.5)
    return fused(weights) if architecture == "Phi3ForCausalLM" else weights


def fused(weights):
    """The same with Phi-3's fused projections: q, k, v in one tensor, gate and up in another."""
    result = {}
    for name, weight in weights.items():
        for first, parts, whole in (("q_proj", ("q_proj", "k_proj", "v_proj"), "qkv_proj"), ("gate_proj", ("gate_proj", "up_proj"), "gate_up_proj")):
            if f".{first}." in name:
                result[name.replace(first, whole)] = torch.cat([weights[name.replace(first, part)] for part in parts])
                break
            if any(f".{part}." in name for part in parts):
                break
        else:
            result[name] = weight
    return result
