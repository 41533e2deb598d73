#!/usr/bin/env python3
"""Writes a Llama checkpoint once more with heads twice as wide, which computes the same: a trained model of head_dim 128 out of one of 64.

usage: python make_wide_heads.py DIRECTORY OUT

DIRECTORY holds model*.safetensors and config.json; OUT receives model.safetensors and the other json files.

RoPE turns the pair (j, j + d/2) by theta^(-2j/d). At head_dim 2d pair 2j turns by the same angle, so element j of queries and
keys moves to 2j, and j + d/2 to 2j + d; between them stand zeros. Attention divides by sqrt(2d), so queries grow by sqrt(2).
Values are mixed by a matrix with orthonormal columns, which the output projection undoes, so that none of theirs are zero.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    config = json.loads((options.directory / "config.json").read_text())
    d = config["hidden_size"] // config["num_attention_heads"]
    spread = torch.zeros(2 * d, d)
    for j in range(d // 2):
        spread[2 * j, j] = 1
        spread[2 * j + d, j + d // 2] = 1
    mix = torch.linalg.qr(torch.randn(2 * d, d, generator=torch.Generator().manual_seed(1)))[0]

    def rows(weight, matrix):  # [heads * d, hidden] to [heads * 2d, hidden]
        return torch.einsum("ed,hdi->hei", matrix, weight.float().view(-1, d, weight.shape[1])).reshape(-1, weight.shape[1])

    weights = {}
    for file in sorted(options.directory.glob("model*.safetensors")):
        for name, weight in load_file(file).items():
            wide = weight
            if name.endswith("q_proj.weight"):
                wide = rows(weight, spread) * 2**0.5
            elif name.endswith("k_proj.weight"):
                wide = rows(weight, spread)
            elif name.endswith("v_proj.weight"):
                wide = rows(weight, mix)
            elif name.endswith("o_proj.weight"):
                wide = rows(weight.T.contiguous(), mix).T
            weights[name] = wide.to(weight.dtype).contiguous()
    options.out.mkdir(parents=True, exist_ok=True)
    for file in options.directory.glob("*.json"):
        if not file.name.endswith(".index.json"):
            shutil.copyfile(file, options.out / file.name)
    (options.out / "config.json").write_text(json.dumps({**config, "head_dim": 2 * d}, indent=1))
    save_file(weights, options.out / "model.safetensors")
    print(f"head_dim {2 * d}: {options.out}")


if __name__ == "__main__":
    main()
