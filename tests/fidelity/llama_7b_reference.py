#!/usr/bin/env python3
"""Logprobs of a checkpoint whose weights are quantised as Skein's q4 is, layer by layer, by transformers in float32.

usage: python llama_7b_reference.py DIRECTORY < tokens.json > logprobs.json

DIRECTORY holds torch.save shards with their index. tokens.json is {"tokens": [...], "last": N}; the answer is a list
of the last N positions' logprobs over the whole vocabulary. The quantiser is written from its rule (wgsl/pack_q4.wgsl
and pack_q8.wgsl): groups of 32 along a row; q4 for the layers' matrices, q8 for embedding and head. Holds one layer.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRMSNorm, LlamaRotaryEmbedding

# What fits in a core's cache; one thread is faster then than several that wait for each other.
GROUPS_AT_ONCE = 2**12
SMALLEST = 2.0**-24
LARGEST = 65504.0


def to_half(x):
    return x.to(torch.float16).to(torch.float32)


def q4(groups):
    """Of fifteen sets of integers the one with the smallest squared error, each with the scale that fits it best."""
    high, low = groups.amax(1), groups.amin(1)
    extreme = torch.where(high >= -low, high, low)
    best_error = torch.full_like(extreme, torch.inf)
    best_inverse, best_d = torch.zeros_like(extreme), torch.zeros_like(extreme)
    q, products = torch.empty_like(groups), torch.empty_like(groups)
    for step in range(15):
        # Not a number by a tensor, which torch takes for a product with the reciprocal: bfloat16 has many ties to break.
        inverse = torch.full_like(extreme, -5.625 - 0.25 * step) / extreme
        torch.mul(groups, inverse[:, None], out=q).round_().clamp_(-8, 7)
        product = torch.mul(q, groups, out=products).sum(1)
        square = torch.mul(q, q, out=products).sum(1)
        ratio = product / square
        d = to_half(ratio.abs().clamp(SMALLEST, LARGEST)) * ratio.sign()
        error = d * (d * square - 2 * product)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        best_inverse = torch.where(better, inverse, best_inverse)
        best_d = torch.where(better, d, best_d)
    torch.mul(groups, best_inverse[:, None], out=q).round_().clamp_(-8, 7)
    return torch.where((extreme == 0)[:, None], 0.0, q.mul_(best_d[:, None]))


def q8(groups):
    d = to_half((groups.abs().amax(1) / 127).clamp_min(SMALLEST))
    return (groups / d[:, None]).round_().clamp_(-127, 127) * d[:, None]


def quantised(weight, rule):
    groups = weight.reshape(-1, 32)
    out = torch.empty(groups.shape, dtype=torch.float32)
    for at in range(0, len(groups), GROUPS_AT_ONCE):
        out[at : at + GROUPS_AT_ONCE] = rule(groups[at : at + GROUPS_AT_ONCE].float())
    return out.reshape(weight.shape)


class Shards:
    def __init__(self, folder):
        self.folder = folder
        self.files = json.loads((folder / "pytorch_model.bin.index.json").read_text())["weight_map"]
        self.open = {}

    def __getitem__(self, name):
        file = self.files[name]
        if file not in self.open:
            self.open[file] = torch.load(self.folder / file, mmap=True, weights_only=True)
        return self.open[file][name]


@torch.inference_mode()
def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    asked = json.load(sys.stdin)
    config = LlamaConfig.from_pretrained(folder)
    config._attn_implementation = "sdpa"
    weights = Shards(folder)
    ids = torch.tensor(asked["tokens"])
    embed = weights["model.embed_tokens.weight"][ids]
    x = quantised(embed, q8)[None]
    positions = torch.arange(len(ids))[None]
    turns = LlamaRotaryEmbedding(config)(x, positions)
    for i in range(config.num_hidden_layers):
        with torch.device("meta"):
            layer = LlamaDecoderLayer(config, i)
        parts = {name: weights[f"model.layers.{i}.{name}"] for name in layer.state_dict()}
        state = {name: quantised(w, q4) if w.dim() == 2 else w.float() for name, w in parts.items()}
        layer.load_state_dict(state, assign=True)
        x = layer(x, position_ids=positions, position_embeddings=turns)
        x = x[0] if isinstance(x, tuple) else x
        print(f"layer {i}", file=sys.stderr, flush=True)
    norm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
    norm.weight.copy_(weights["model.norm.weight"])
    last = norm(x)[0, -asked["last"] :]
    logits = last @ quantised(weights["lm_head.weight"], q8).T
    json.dump(torch.log_softmax(logits, -1).tolist(), sys.stdout)


if __name__ == "__main__":
    main()
