#!/usr/bin/env python3
"""Random blocks of ggml's types and what they mean, by the gguf package; run alone, it makes ../ggml_blocks.json.

usage: python blocks.py
needs: pip install gguf numpy

ggml_blocks.json holds for each type two rows of 512 weights: `bytes` as a GGUF file has them, and `values`, float32 by
gguf.quants.dequantize, which follows ggml's own dequantize_row_* functions; both in base64.
"""

import base64
import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Offsets in a block of the f16 that scale it, and sizes of theirs that give weights of about 0.25.
HALVES = {
    "Q8_0": {0: 2.0**-9},
    "Q5_1": {0: 2.0**-6, 2: 2.0**-2},
    "Q5_0": {0: 2.0**-6},
    "Q4_1": {0: 2.0**-5, 2: 2.0**-2},
    "Q4_0": {0: 2.0**-5},
    "Q6_K": {208: 2.0**-14},
    "Q5_K": {0: 2.0**-13, 2: 2.0**-8},
    "Q4_K": {0: 2.0**-12, 2: 2.0**-8},
    "Q3_K": {108: 2.0**-9},
    "Q2_K": {80: 2.0**-8, 82: 2.0**-6},
}


def values_of(blocks, kind):
    """float32 weights of rows of blocks."""
    return dequantize(blocks, GGMLQuantizationType[kind]).astype(np.float32)


def random_blocks(kind, rows, columns, size, rng):
    """uint8 rows of blocks, every bit random but the f16, whose weights have about the given standard deviation."""
    weights, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = rng.integers(0, 256, (rows, columns // weights, block_bytes), dtype=np.uint8)
    factor = 1.0
    for _ in range(2):
        for offset, half in HALVES[kind].items():
            signs = np.where(rng.random(blocks.shape[:2]) < 0.1, -1, 1)
            halves = factor * half * signs * rng.uniform(0.75, 1.25, blocks.shape[:2])
            blocks[:, :, offset : offset + 2] = halves.astype("<f2")[:, :, None].view(np.uint8)
        flat = blocks.reshape(rows, -1)
        factor *= size / values_of(flat, kind).std()
    return flat


def main():
    rng = np.random.default_rng(1)
    table = {}
    for kind in HALVES:
        blocks = random_blocks(kind, 2, 512, 0.25, rng)
        encoded = (base64.b64encode(array.tobytes()).decode() for array in (blocks, values_of(blocks, kind)))
        table[kind] = dict(zip(("bytes", "values"), encoded))
    path = Path(__file__).parent.parent / "ggml_blocks.json"
    path.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
