"""The tiny checkpoints: what each config.json says, and the mistakes that its expected.json must be able to tell."""

import math

import torch

from gguf_file import interleave
from tokenizer import BOS, EOS, VOCABULARY


def config(**fields):
    """config.json of a small Llama; `fields` wins. Keys set to None are left out of the file."""
    merged = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "hidden_act": "silu",
        "hidden_size": 32,
        "intermediate_size": 64,
        "max_position_embeddings": 256,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "vocab_size": VOCABULARY,
        **fields,
    }
    return {key: value for key, value in merged.items() if value is not None}


YARN = {
    "hidden_size": 48,
    "head_dim": 64,
    "num_key_value_heads": 1,
    "rope_theta": 1000.0,
    "num_hidden_layers": 1,
    "tie_word_embeddings": True,
}
YARN_BASICS = {"factor": 4.0, "original_max_position_embeddings": 64}


LLAMA3 = {"rope_type": "llama3", **YARN_BASICS, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def yarn_parameters(**fields):
    return {"rope_type": "yarn", "rope_theta": 1000.0, **YARN_BASICS, **fields}


# Mistakes: each takes the config's dict and the weights and gives the config fields and weights that differ.


def rope(parameters):
    return lambda _config, _weights: ({"rope_parameters": parameters}, {})


def fields(**changes):
    return lambda _config, _weights: (changes, {})


def without(suffix):
    return lambda _config, weights: ({}, {n: torch.zeros_like(w) for n, w in weights.items() if n.endswith(suffix)})


def neighbour_pairs(config, weights):
    counts = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    return {}, {n: interleave(w, c) for n, w in weights.items() for p, c in counts.items() if p in n}


def strided_kv_heads(config, weights):
    """Query head h reads KV head h % n_kv_heads, not h // group."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    order = sorted(range(heads), key=lambda head: (head % kv_heads, head))
    changed = {}
    for name, weight in weights.items():
        if name.endswith("q_proj.weight"):
            changed[name] = weight.reshape(heads, -1, weight.shape[1])[order].reshape(weight.shape)
        if name.endswith("o_proj.weight"):
            changed[name] = weight.reshape(weight.shape[0], heads, -1)[:, order].reshape(weight.shape)
    return {}, changed


def scale_of_hidden(config, weights):
    """Attention scaled by (hidden/heads)^-0.5, not head_dim^-0.5."""
    ratio = math.sqrt(config["head_dim"] * config["num_attention_heads"] / config["hidden_size"])
    return {}, {n: w * ratio for n, w in weights.items() if n.endswith("q_proj.weight")}


PLAIN_1000 = {"rope_type": "default", "rope_theta": 1000.0}
EXPLICIT = {"softmax scale of hidden/heads": scale_of_hidden, "neighbour pairs": neighbour_pairs}
YARN_MISTAKES = {
    "no attention factor": rope(yarn_parameters(attention_factor=1.0)),
    "no scaling": rope(PLAIN_1000),
    "linear scaling": rope({"rope_type": "linear", "rope_theta": 1000.0, "factor": 4.0}),
}

def without_norms(_config, weights):
    return {}, {n: torch.ones_like(w) for n, w in weights.items() if "q_norm" in n or "k_norm" in n}


MISTRAL = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "attention_bias": None, "mlp_bias": None}
QWEN2 = {**MISTRAL, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
QWEN3 = {**MISTRAL, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": False}
PHI3 = {**MISTRAL, "architectures": ["Phi3ForCausalLM"], "model_type": "phi3"}
SMOLLM3 = {**MISTRAL, "architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "attention_bias": False, "mlp_bias": False}
YARN_10000 = {"rope_type": "yarn", "rope_theta": 10000.0, **YARN_BASICS}
PLAIN_10000 = {"rope_type": "default", "rope_theta": 10000.0}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
# 32 of a head's elements, three quarters of them rotated: 12 pairs.
SHORT_FACTOR = [1.0, 1.0, 1.01, 1.02, 1.05, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 2.5]
LONG_FACTOR = [1.0, 1.1, 1.3, 1.6, 2.0, 2.6, 3.3, 4.0, 5.0, 6.0, 7.0, 8.0]
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.75, "original_max_position_embeddings": 64}
YARN_MISTRAL = {**YARN_10000, "beta_fast": 128.0, "beta_slow": 2.0, "attention_factor": 0.07 * math.log(4) + 1}

# Tokens of the prompt, where they are not 9: the continuation crosses a scaling's switch or a window's end.
PROMPT_TOKENS = {"dynamic_ntk": 58, "phi3_longrope": 58, "mistral_window": 20}

# What the reference is given beyond config.json: the constants that stand in the checkpoint's own code.
REFERENCES = {"mistral_yarn": {"rope_parameters": YARN_MISTRAL}}

# name -> (config, tokens in expected.json, mistakes)
CASES = {
    "mha_untied": (config(), 97, {"neighbour pairs": neighbour_pairs}),
    "gqa_tied": (
        config(num_attention_heads=4, num_key_value_heads=2, hidden_size=64, num_hidden_layers=1, tie_word_embeddings=True),
        64,
        {"strided kv heads": strided_kv_heads},
    ),
    "mqa_bias": (
        config(
            num_attention_heads=4,
            num_key_value_heads=1,
            hidden_size=64,
            num_hidden_layers=1,
            attention_bias=True,
            mlp_bias=True,
            tie_word_embeddings=True,
        ),
        64,
        {name: without(f"{name}.bias") for name in ("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")},
    ),
    "head_dim_64": (config(head_dim=64, num_key_value_heads=1), 64, EXPLICIT),
    "head_dim_80": (config(head_dim=80, hidden_size=48, num_attention_heads=3, num_key_value_heads=1), 64, EXPLICIT),
    "head_dim_96": (config(head_dim=96, hidden_size=48, num_key_value_heads=1), 64, EXPLICIT),
    "head_dim_128_theta_5e5": (
        # The form that transformers 5 writes: dtype, and rope_theta inside rope_parameters.
        config(
            head_dim=128,
            num_key_value_heads=1,
            rope_theta=None,
            rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
            torch_dtype=None,
            dtype="float16",
        ),
        128,
        {**EXPLICIT, "theta 10000": rope({"rope_type": "default", "rope_theta": 10000.0})},
    ),
    "padded_rows": (
        # Rows of 36, 52 and 48 values: multiples of 4 and not of 32. The vocabulary is odd and larger than the tokenizer's.
        config(
            hidden_size=36,
            intermediate_size=52,
            num_attention_heads=3,
            head_dim=16,
            num_key_value_heads=3,
            rms_norm_eps=0.05,
            vocab_size=291,
        ),
        40,
        {"eps 1e-5": fields(rms_norm_eps=1e-5)},
    ),
    "yarn_rope_scaling": (
        config(**YARN, rope_scaling={"type": "yarn", "finetuned": True, **YARN_BASICS}),
        200,
        {**YARN_MISTAKES, "theta 10000": rope(yarn_parameters(rope_theta=10000.0))},
    ),
    "llama3_rope": (
        # Frequencies on both sides of the blend, and within it.
        config(**YARN, rope_scaling=LLAMA3),
        200,
        {"no scaling": rope(PLAIN_1000), "low frequencies kept": rope({**LLAMA3, "rope_theta": 1000.0, "factor": 1.0})},
    ),
    "yarn_rope_parameters": (config(**{**YARN, "rope_theta": None}, rope_parameters=yarn_parameters()), 200, YARN_MISTAKES),
    "yarn_attention_factor": (
        # What the stock code needs to run the Mistral YaRN checkpoints: their constants, written out.
        config(
            **{**YARN, "rope_theta": None},
            rope_parameters=yarn_parameters(beta_fast=8.0, beta_slow=2.0, attention_factor=0.07 * math.log(4) + 1),
        ),
        200,
        {
            "default betas": rope(yarn_parameters(attention_factor=0.07 * math.log(4) + 1)),
            "default attention factor": rope(yarn_parameters(beta_fast=8.0, beta_slow=2.0)),
            "attention factor times the default": rope(
                yarn_parameters(beta_fast=8.0, beta_slow=2.0, attention_factor=(0.07 * math.log(4) + 1) * (0.1 * math.log(4) + 1))
            ),
        },
    ),
    "yarn_mscale_untruncated": (
        config(
            **{**YARN, "rope_theta": None},
            rope_parameters=yarn_parameters(mscale=1.0, mscale_all_dim=0.5, truncate=False),
        ),
        200,
        {
            "mscale ignored": rope(yarn_parameters(truncate=False)),
            "no attention factor": rope(yarn_parameters(truncate=False, attention_factor=1.0)),
            "truncated": rope(yarn_parameters(mscale=1.0, mscale_all_dim=0.5)),
        },
    ),
    "bf16_range": (
        # up_proj is beyond float16's largest number and down_proj below its smallest: bfloat16 has to stay bfloat16.
        config(torch_dtype="bfloat16", tie_word_embeddings=True),
        40,
        {"down_proj flushed": without("down_proj.weight")},
    ),
    "stop_list": (config(tie_word_embeddings=True), 40, {}),
    "dynamic_ntk": (
        config(max_position_embeddings=64, tie_word_embeddings=True, rope_scaling={"type": "dynamic", "factor": 4.0}),
        160,
        {
            "no scaling": rope(PLAIN_10000),
            "factor 1": rope({**DYNAMIC, "factor": 1.0}),
            "linear scaling": rope({"rope_type": "linear", "rope_theta": 10000.0, "factor": 160 / 64}),
        },
    ),
    "mistral_window": (
        config(**MISTRAL, num_key_value_heads=1, sliding_window=24, tie_word_embeddings=True),
        250,
        {"no window": fields(sliding_window=None), "a window of one less": fields(sliding_window=23)},
    ),
    "mistral_yarn": (
        # As Yarn-Mistral has it: the constants and the length are not in the fields that a plain reader knows.
        config(
            **MISTRAL,
            num_key_value_heads=1,
            tie_word_embeddings=True,
            auto_map={"AutoModelForCausalLM": "modeling_mistral_yarn.MistralForCausalLM"},
            max_position_embeddings=128,
            max_sequence_length=256,
            sliding_window=256,
            rope_scaling={"type": "yarn", "finetuned": True, **YARN_BASICS},
        ),
        200,
        {
            "Llama's constants": rope(YARN_10000),
            "default attention factor": rope({**YARN_MISTRAL, "attention_factor": 0.1 * math.log(4) + 1}),
        },
    ),
    "qwen2_yarn": (
        config(**QWEN2, num_attention_heads=4, hidden_size=64, num_hidden_layers=1, tie_word_embeddings=True,
               use_sliding_window=False, sliding_window=32, max_window_layers=1, rope_scaling={"type": "yarn", **YARN_BASICS}),
        200,
        {
            "no scaling": rope(PLAIN_10000),
            "no attention factor": rope({**YARN_10000, "attention_factor": 1.0}),
            **{name: without(f"{name}.bias") for name in ("q_proj", "v_proj")},
        },
    ),
    "qwen2_window": (
        # The first layer sees everything, the second a window.
        config(**QWEN2, num_key_value_heads=1, tie_word_embeddings=True, use_sliding_window=True, sliding_window=24, max_window_layers=1),
        120,
        {
            "no window": fields(layer_types=["full_attention"] * 2),
            "a window in both layers": fields(layer_types=["sliding_attention"] * 2),
        },
    ),
    "qwen3_yarn": (
        config(**QWEN3, head_dim=32, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True,
               rope_scaling={"rope_type": "yarn", **YARN_BASICS}),
        200,
        {"no norm of q and k": without_norms, "no scaling": rope(PLAIN_10000)},
    ),
    "phi3_longrope": (
        config(
            **PHI3,
            hidden_size=64,
            num_hidden_layers=1,
            num_key_value_heads=1,
            tie_word_embeddings=True,
            partial_rotary_factor=0.75,
            original_max_position_embeddings=64,
            pad_token_id=0,
            sliding_window=200,
            rope_scaling={"type": "longrope", "short_factor": SHORT_FACTOR, "long_factor": LONG_FACTOR},
        ),
        150,
        {
            "short factors": rope({**LONGROPE, "short_factor": SHORT_FACTOR, "long_factor": SHORT_FACTOR}),
            "no attention factor": rope({**LONGROPE, "short_factor": SHORT_FACTOR, "long_factor": LONG_FACTOR, "attention_factor": 1.0}),
        },
    ),
    "smollm3_nope": (
        config(**SMOLLM3, num_hidden_layers=4, num_key_value_heads=1, tie_word_embeddings=True,
               no_rope_layers=[1, 0, 1, 0], pad_token_id=0, rope_scaling={"rope_type": "yarn", **YARN_BASICS}),
        200,
        {"RoPE in all layers": fields(no_rope_layers=[1, 1, 1, 1]), "no scaling": rope(PLAIN_10000)},
    ),
    "gguf_blocks": (
        # Rows of whole blocks of 256.
        config(hidden_size=256, intermediate_size=256, num_attention_heads=4, num_key_value_heads=1, num_hidden_layers=1,
               tie_word_embeddings=True),
        64,
        {},
    ),
    "storage_forms": (
        config(num_key_value_heads=1, tie_word_embeddings=True),
        64,
        {"neighbour pairs": neighbour_pairs},
    ),
}
