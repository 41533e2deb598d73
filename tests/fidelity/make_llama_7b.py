#!/usr/bin/env python3
"""Writes a random model of Llama-2-7B's shape as older checkpoints come: bfloat16, torch.save shards with their index.

usage: python make_llama_7b.py OUT

OUT receives 13.5 GB in three shards, two of them over 4 GiB, with the rotary buffers of such checkpoints, config.json of
Yarn-Llama-2-7b-64k and the tokenizer of Llama 2. Deviations are chosen so that no logits are flat: the likeliest token
of a position has a few percent or more. Seeded by name: every run writes the same weights.
"""

import gzip
import json
import shutil
import sys
import zlib
from pathlib import Path

import torch

DATA = Path(__file__).parents[1] / "testdata"
SHARDS = 3
DEVIATIONS = {"model.embed_tokens": 1.0, "lm_head": 0.08}
INNER = 0.02


def shapes(config):
    """Every tensor's name and shape, in the order of the layers."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        for name in "qkvo":
            yield f"{layer}.self_attn.{name}_proj.weight", (hidden, hidden)
        yield f"{layer}.self_attn.rotary_emb.inv_freq", (hidden // config["num_attention_heads"] // 2,)
        yield f"{layer}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{layer}.mlp.up_proj.weight", (inner, hidden)
        yield f"{layer}.mlp.down_proj.weight", (hidden, inner)
        yield f"{layer}.input_layernorm.weight", (hidden,)
        yield f"{layer}.post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (config["vocab_size"], hidden)


def tensor(name, shape):
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    weight = torch.empty(shape, dtype=torch.bfloat16)
    if len(shape) == 2:
        return weight.normal_(0, DEVIATIONS.get(name.removesuffix(".weight"), INNER), generator=generator)
    if name.endswith("inv_freq"):
        return 10000.0 ** -(torch.arange(shape[0], dtype=torch.float32) / shape[0])
    return weight.uniform_(0.75, 1.25, generator=generator)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DATA / "yarn-llama-2-7b-64k/config.json", out / "config.json")
    (out / "tokenizer.json").write_bytes(gzip.decompress((DATA / "tokenizer/llama2.tokenizer.json.gz").read_bytes()))
    all_shapes = list(shapes(json.loads((out / "config.json").read_text())))
    per_shard = -(-len(all_shapes) // SHARDS)
    index, total = {}, 0
    for shard in range(SHARDS):
        file = f"pytorch_model-{shard + 1:05d}-of-{SHARDS:05d}.bin"
        part = {name: tensor(name, shape) for name, shape in all_shapes[shard * per_shard : (shard + 1) * per_shard]}
        torch.save(part, out / file)
        index.update({name: file for name in part})
        total += sum(weight.nbytes for weight in part.values())
        print(f"{file}: {len(part)} tensors", flush=True)
    index_text = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=1)
    (out / "pytorch_model.bin.index.json").write_text(index_text)


if __name__ == "__main__":
    main()
