#!/usr/bin/env python3
"""Makes round_to_nearest.json: perplexities of pg-nano-yarn-2k with its weights rounded to ggml's Q4_1, by transformers in float32.

usage: python make_round_to_nearest.py MODELS_DIRECTORY BOOKS_DIRECTORY
needs: torch transformers==5.23.0 tokenizers safetensors gguf

MODELS_DIRECTORY holds pg-nano-yarn-2k and windows.json ([{file, end}], end in text tokens of BOOKS_DIRECTORY/file). For every
window the input is <s> and the LENGTH - 1 tokens before the last target; the last 256 targets count. The quantiser is the gguf
package's. `linear` leaves the embedding, which is the output head as well, in float16; `all` rounds it too.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

LENGTH, COUNTED, BOS = 1024, 256, 1


def windows_of(models, books):
    tokenizer = Tokenizer.from_file(str(models / "pg-nano-yarn-2k" / "tokenizer.json"))
    texts = {}
    for window in json.loads((models / "windows.json").read_text()):
        file, end = window["file"], window["end"]
        if file not in texts:
            texts[file] = tokenizer.encode((books / file).read_text(encoding="utf8"), add_special_tokens=False).ids
        yield [BOS] + texts[file][end - LENGTH : end]


@torch.no_grad()
def perplexity_of(model, windows):
    losses = []
    for tokens in windows:
        logits = model(input_ids=torch.tensor([tokens[:-1]]), use_cache=False, logits_to_keep=COUNTED).logits[0]
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(tokens[-COUNTED:]), reduction="none").double())
    return round(float(torch.cat(losses).mean().exp()), 4)


def main():
    torch.set_num_threads(1)
    models, books = Path(sys.argv[1]), Path(sys.argv[2])
    windows = list(windows_of(models, books))
    model = LlamaForCausalLM.from_pretrained(models / "pg-nano-yarn-2k", dtype=torch.float32).eval()
    original = {name: weight.clone() for name, weight in model.state_dict().items()}

    def rounded(kind, leave=()):
        kind = GGMLQuantizationType[kind]
        state = {}
        for name, weight in original.items():
            if weight.ndim == 2 and not name.startswith(leave):
                weight = torch.from_numpy(dequantize(quantize(weight.numpy(), kind), kind)).reshape(weight.shape)
            state[name] = weight
        model.load_state_dict(state)
        return perplexity_of(model, windows)

    result = {
        "transformers": transformers.__version__,
        "length": LENGTH,
        "counted": COUNTED,
        "windows": len(windows),
        "f16": perplexity_of(model, windows),
        "q8_0_all": rounded("Q8_0"),
        "q4_1_linear": rounded("Q4_1", leave=("model.embed_tokens", "lm_head")),
        "q4_1_all": rounded("Q4_1"),
    }
    text = json.dumps(result, indent=2) + "\n"
    (Path(__file__).parent / "round_to_nearest.json").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
