#!/usr/bin/env python3
"""Makes the tiny checkpoints of ../tiny and their references. Rerun it after changing anything here, and commit both.

usage: python make.py [CASE ...]
needs: pip install torch transformers==5.23.0 tokenizers safetensors gguf numpy

Every directory holds config.json, weights, tokenizer.json, tokenizer_config.json and expected.json:
  text, tokens    text and its token ids, <s> first
  logprobs        ln p(tokens[i+1] | tokens[..i]) by transformers, float32, eager attention
  rounding        largest change of these logprobs when the matrices are in float64
  float16         largest change when the model is run in float16; null where it overflows
  prompt_text, prompt, greedy   a prompt, its ids and the greedy continuation
  margin          smallest difference between the two best logits along that continuation
  mistakes        for each mistake named, the largest change of a logprob that it would cause; each is at least ten
                  times the tolerance (1e-3)
Weights are numbers that float16 and bfloat16 both hold (bf16_range apart), so every unquantised form has one reference.
Quantised GGUF files have their own, by the dequantised weights.
"""

import json
import math
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import gguf_file
from blocks import random_blocks, values_of
from cases import CASES, PROMPT_TOKENS, REFERENCES
from reference import greedy_of, halved, logprobs_of, model_of
from tokenizer import BOS, EOS, tokenizer_config, train
from weights import random_weights

TINY = Path(__file__).parent.parent / "tiny"
TEXT = (Path(__file__).parent.parent / "pg19" / "keith_of_the_border.txt").read_text(encoding="utf8")
TOLERANCE = 1e-3
GREEDY_STEPS, SMALLEST_MARGIN = 24, 0.05
QUANTISED = ("Q8_0", "Q4_0", "Q4_1")
# Types of the matrices of gguf_blocks.
BLOCKS = {
    "embed_tokens": "Q6_K",
    "q_proj": "Q4_K",
    "k_proj": "Q3_K",
    "v_proj": "Q6_K",
    "o_proj": "Q5_K",
    "gate_proj": "Q5_1",
    "up_proj": "Q5_0",
    "down_proj": "Q2_K",
}
GGUF = ("mqa_bias", "yarn_rope_scaling", "llama3_rope", "qwen2_yarn", "qwen3_yarn", "mistral_window")  # written as GGUF too


def write_json(path, value, **options):
    path.write_text(json.dumps(value, ensure_ascii=False, **options) + "\n", encoding="utf8")


def text_of(tokenizer, begin, n_tokens):
    """A piece of TEXT that encodes to exactly n_tokens ids (<s> included), and those ids."""
    for end in range(begin + n_tokens // 2, len(TEXT)):
        ids = tokenizer.encode(TEXT[begin:end]).ids
        if len(ids) == n_tokens:
            return TEXT[begin:end], ids
    raise ValueError(f"no text of {n_tokens} tokens at {begin}")


def find_greedy(model, tokenizer, n_tokens):
    """A prompt whose continuation does not stop, hangs on no near tie and is no mere repetition."""
    for begin in range(0, 4000, 53):
        text, prompt = text_of(tokenizer, begin, n_tokens)
        greedy, margin = greedy_of(model, prompt, GREEDY_STEPS)
        if margin >= SMALLEST_MARGIN and EOS not in greedy and len(set(greedy)) >= GREEDY_STEPS // 3:
            return text, prompt, greedy, margin
    raise ValueError("no prompt with a clear continuation")


def expected_of(config_dir, weights, tokenizer, n_tokens, mistakes=None):
    reference = REFERENCES.get(config_dir.name, {})
    model = model_of(config_dir, weights, **reference)
    config = json.loads((config_dir / "config.json").read_text())
    text, tokens = text_of(tokenizer, 26, n_tokens)
    logprobs = logprobs_of(model, tokens)
    rounding = float((logprobs_of(model_of(config_dir, weights, **reference).double(), tokens) - logprobs).abs().max())
    if rounding > TOLERANCE / 10:
        raise ValueError(f"{config_dir.name}: float64 changes a logprob by {rounding}")
    half = float((logprobs_of(halved(model_of(config_dir, weights, **reference)), tokens) - logprobs).abs().max())
    prompt_text, prompt, greedy, margin = find_greedy(model, tokenizer, PROMPT_TOKENS.get(config_dir.name, 9))
    changes = {}
    for name, mistake in (mistakes or {}).items():
        config_changes, weight_changes = mistake(config, weights)
        wrong = logprobs_of(model_of(config_dir, {**weights, **weight_changes}, **{**reference, **config_changes}), tokens)
        changes[name] = round(float((wrong - logprobs).abs().max()), 4)
        if changes[name] < 10 * TOLERANCE:
            raise ValueError(f"{config_dir.name}: '{name}' changes no logprob by more than {changes[name]}")
    return {
        "transformers": transformers.__version__,
        "text": text,
        "tokens": tokens,
        "rounding": round(rounding, 7),
        "float16": round(half, 6) if math.isfinite(half) else None,
        "logprobs": [round(value, 6) for value in logprobs.tolist()],
        "prompt_text": prompt_text,
        "prompt": prompt,
        "greedy": greedy,
        "margin": round(margin, 4),
        "mistakes": changes,
    }


def write_directory(directory, config, tokenizer):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    write_json(directory / "config.json", config, indent=2)
    write_json(directory / "tokenizer_config.json", tokenizer_config(), indent=2)
    (directory / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf8")


def save_safetensors(path, weights, dtype):
    save_file({name: weight.to(dtype).contiguous() for name, weight in weights.items()}, path, metadata={"format": "pt"})


def write_shards(directory, weights, dtype, n_shards, stem, extension, save):
    """Splits the weights in order and writes the index as transformers does."""
    names = sorted(weights)
    index = {}
    for shard in range(n_shards):
        file = f"{stem}-{shard + 1:05d}-of-{n_shards:05d}.{extension}"
        part = names[shard * len(names) // n_shards : (shard + 1) * len(names) // n_shards]
        save(directory / file, {name: weights[name] for name in part}, dtype)
        index.update({name: file for name in part})
    total = sum(weight.numel() for weight in weights.values()) * 2
    write_json(directory / f"{stem}.{extension}.index.json", {"metadata": {"total_size": total}, "weight_map": index}, indent=1)


def save_torch(path, weights, dtype):
    torch.save({name: weight.to(dtype).clone() for name, weight in weights.items()}, path)


def save_torch_like_llama_2(path, weights, dtype):
    """What old checkpoints hold besides: the tied head as an alias, rotary buffers, and tensors that are views into a
    storage that they share."""
    state = {name: weight.to(dtype).clone() for name, weight in weights.items()}
    for prefix in sorted({name.split("self_attn")[0] for name in state if "self_attn" in name}):
        names = [f"{prefix}self_attn.{projection}.weight" for projection in ("q_proj", "k_proj", "v_proj")]
        fused, row = torch.cat([state[name] for name in names]), 0
        for name in names:
            state[name] = fused[row : row + state[name].shape[0]]
            row += state[name].shape[0]
        state[f"{prefix}self_attn.rotary_emb.inv_freq"] = 10000.0 ** -(torch.arange(0, 16, 2) / 16)
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    torch.save(state, path)


def make_storage_forms(config, weights, tokenizer, n_tokens, mistakes):
    """One model in every form: directories and GGUF files under tiny/storage_forms."""
    root = TINY / "storage_forms"
    shutil.rmtree(root, ignore_errors=True)
    forms = {}

    def form(name, torch_dtype):
        forms[name] = root / name
        write_directory(root / name, {**config, "torch_dtype": torch_dtype}, tokenizer)
        return root / name

    save_safetensors(form("safetensors_f32", "float32") / "model.safetensors", weights, torch.float32)
    save_safetensors(form("safetensors_f16", "float16") / "model.safetensors", weights, torch.float16)
    save_safetensors(form("safetensors_bf16", "bfloat16") / "model.safetensors", weights, torch.bfloat16)
    write_shards(form("safetensors_sharded", "float16"), weights, torch.float16, 3, "model", "safetensors", save_safetensors)
    save_torch(form("torch_bf16", "bfloat16") / "pytorch_model.bin", weights, torch.bfloat16)
    save_torch_like_llama_2(form("torch_f16", "float16") / "pytorch_model.bin", weights, torch.float16)
    write_shards(form("torch_sharded", "bfloat16"), weights, torch.bfloat16, 2, "pytorch_model", "bin", save_torch)
    reference = forms["safetensors_f32"]
    write_json(root / "expected.json", expected_of(reference, weights, tokenizer, n_tokens, mistakes))
    for kind in ("F32", "F16", "BF16", *QUANTISED):
        gguf_file.write(root / f"{kind.lower()}.gguf", config, weights, tokenizer, kind)
        if kind in QUANTISED:
            stored = gguf_file.stored_values(weights, kind)
            write_json(root / f"{kind.lower()}.expected.json", expected_of(reference, stored, tokenizer, n_tokens))


def make_gguf_blocks(config, weights, tokenizer, n_tokens):
    """A GGUF file whose matrices are of as many types as they can be, as llama.cpp mixes them within one model."""
    rng = np.random.default_rng(1)
    blocks, stored = {}, dict(weights)
    for name, weight in weights.items():
        kind = next((kind for part, kind in BLOCKS.items() if part in name), None)
        if kind is not None:
            rows, columns = weight.shape
            blocks[name] = (kind, random_blocks(kind, rows, columns, float(weight.std()), rng))
            stored[name] = torch.from_numpy(values_of(blocks[name][1], kind).reshape(rows, columns))
    with tempfile.TemporaryDirectory() as directory:
        write_json(Path(directory) / "config.json", config)
        expected = expected_of(Path(directory), stored, tokenizer, n_tokens)
    directory = TINY / "gguf_blocks"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    gguf_file.write(directory / "model.gguf", config, weights, tokenizer, "F32", blocks)
    write_json(directory / "expected.json", expected)


def make(name, tokenizer):
    config, n_tokens, mistakes = CASES[name]
    weights = random_weights(config, seed=sum(map(ord, name)))
    if name == "storage_forms":
        make_storage_forms(config, weights, tokenizer, n_tokens, mistakes)
        return
    if name == "gguf_blocks":
        make_gguf_blocks(config, weights, tokenizer, n_tokens)
        return
    dtype = torch.float16
    if name == "bf16_range":
        dtype = torch.bfloat16
        for key, exponent in (("up_proj", 18), ("down_proj", -18)):
            weights.update({n: w * 2.0**exponent for n, w in weights.items() if key in n})
    directory = TINY / name
    write_directory(directory, config, tokenizer)
    save_safetensors(directory / "model.safetensors", weights, dtype)
    expected = expected_of(directory, weights, tokenizer, n_tokens, mistakes)
    if name == "stop_list":
        # The second stop id is a token that comes up on the way: greedy text ends before it.
        cut = next(i for i, token in enumerate(expected["greedy"]) if i >= 5 and token not in expected["greedy"][:i])
        stop = expected["greedy"][cut]
        expected |= {"greedy": expected["greedy"][:cut], "finish_reason": "stop"}
        write_json(directory / "generation_config.json", {"bos_token_id": BOS, "eos_token_id": [EOS, stop]}, indent=2)
    write_json(directory / "expected.json", expected)
    if name in GGUF:
        gguf_file.write(directory / "f16.gguf", config, weights, tokenizer, "F16")


def main():
    torch.set_num_threads(1)
    tokenizer = train(TEXT)
    for name in sys.argv[1:] or CASES:
        make(name, tokenizer)
        files = [path for path in (TINY / name).rglob("*") if path.is_file()]
        print(f"{name}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
