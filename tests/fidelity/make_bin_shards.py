#!/usr/bin/env python3
"""Writes a safetensors checkpoint's weights once more as two torch.save shards with their index, as older checkpoints come.

usage: python make_bin_shards.py DIRECTORY OUT [--dtype float16|bfloat16]

DIRECTORY holds model*.safetensors and config.json. OUT receives pytorch_model-0000N-of-00002.bin, pytorch_model.bin.index.json
and the other json files. float16 from float16 weights keeps every bit; bfloat16 rounds.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

SHARDS = 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dtype", choices=("float16", "bfloat16"), default="float16")
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype)
    weights = {}
    for file in sorted(options.directory.glob("model*.safetensors")):
        weights.update(load_file(file))
    options.out.mkdir(parents=True, exist_ok=True)
    for file in options.directory.glob("*.json"):
        if not file.name.endswith(".index.json"):
            shutil.copyfile(file, options.out / file.name)
    config = json.loads((options.out / "config.json").read_text())
    (options.out / "config.json").write_text(json.dumps({**config, "torch_dtype": options.dtype}, indent=1))
    names, index = sorted(weights), {}
    for shard in range(SHARDS):
        part = names[shard * len(names) // SHARDS : (shard + 1) * len(names) // SHARDS]
        file = f"pytorch_model-{shard + 1:05d}-of-{SHARDS:05d}.bin"
        torch.save({name: weights[name].to(dtype).clone() for name in part}, options.out / file)
        index.update({name: file for name in part})
    total = sum(weight.numel() for weight in weights.values()) * 2
    index_text = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=1)
    (options.out / "pytorch_model.bin.index.json").write_text(index_text)
    print(f"{len(names)} tensors in {SHARDS} shards, {options.dtype}: {options.out}")


if __name__ == "__main__":
    main()
