#!/usr/bin/env python3
"""Makes smollm2_reference.json: what transformers computes for SmolLM2-135M-Instruct in float32.

usage: python make_smollm2_reference.py SMOLLM2_DIRECTORY
needs: torch transformers==5.23.0 tokenizers safetensors

SMOLLM2_DIRECTORY is the float16 checkpoint (dequantised from the Q4_1 GGUF file). The json holds
  text, tokens     smollm2_text.txt, 512 tokens, nothing added; from The Leavenworth Case, book 4047 of PG19's test split
  logprobs         ln p(tokens[i+1] | tokens[..i]), float32 arithmetic on the float16 weights
  half_cache       largest change of a logprob when keys and values alone are rounded to float16. On many passages it is
                   above 2e-2, whoever computes it; a text that is to tell errors from rounding has less than 1e-2
  bfloat16         {logprobs}: the same with the weights rounded to bfloat16, still float32 arithmetic
  greedy           [{prompt, tokens, margins}]: 64 greedy steps; margins[i] is the difference of the two best logits at step i
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM
from transformers.models.llama import modeling_llama

HERE = Path(__file__).parent
TEXT = (HERE / "smollm2_text.txt").read_text(encoding="utf8")
LENGTH, STEPS = 512, 64
PROMPTS = [
    "The capital of France is",
    "Once upon a time there was a small village at the edge of",
    "Water boils at",
    "def fibonacci(n):\n",
    "The three most important inventions of the nineteenth century were",
    "Dear Sir,\n\nI am writing to",
    "To make a good loaf of bread, first",
    "The man was riding just below the summit of the ridge,",
    "Q: Why is the sky blue?\nA:",
    "In 1969, the first humans",
]


@torch.no_grad()
def logprobs_of(model, tokens):
    logits = model(input_ids=torch.tensor([tokens[:-1]]), use_cache=False).logits[0].double()
    return [round(value, 6) for value in logits.log_softmax(-1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0].tolist()]


def half_cache_of(model, tokens, exact):
    rotate = modeling_llama.apply_rotary_pos_emb

    def rotate_and_round(*args, **options):
        q, k = rotate(*args, **options)
        return q, k.half().float()

    modeling_llama.apply_rotary_pos_emb = rotate_and_round
    hooks = [layer.self_attn.v_proj.register_forward_hook(lambda _m, _i, v: v.half().float()) for layer in model.model.layers]
    rounded = logprobs_of(model, tokens)
    modeling_llama.apply_rotary_pos_emb = rotate
    for hook in hooks:
        hook.remove()
    change = max(abs(a - b) for a, b in zip(rounded, exact))
    if not 0 < change < 1e-2:
        raise ValueError(f"rounding keys and values changes a logprob by {change}")
    return round(change, 6)


@torch.no_grad()
def greedy_of(model, prompt, eos):
    """One prefill, then one token a step over the cache."""
    tokens, margins, cache, step = [], [], None, torch.tensor([prompt])
    for _ in range(STEPS):
        out = model(input_ids=step, past_key_values=cache, use_cache=True)
        best = out.logits[0, -1].topk(2)
        token = int(best.indices[0])
        if token == eos:
            break
        tokens.append(token)
        margins.append(round(float(best.values[0] - best.values[1]), 4))
        cache, step = out.past_key_values, torch.tensor([[token]])
    return tokens, margins


def main():
    torch.set_num_threads(1)
    directory = sys.argv[1]
    tokenizer = Tokenizer.from_file(directory + "/tokenizer.json")
    tokens = tokenizer.encode(TEXT).ids
    if len(tokens) != LENGTH:
        raise ValueError(f"the text has {len(tokens)} tokens, expected {LENGTH}")
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    reference = {"transformers": transformers.__version__, "text": TEXT, "tokens": tokens, "logprobs": logprobs_of(model, tokens)}
    reference["half_cache"] = half_cache_of(model, tokens, reference["logprobs"])
    reference["greedy"] = []
    for prompt in PROMPTS:
        ids, margins = greedy_of(model, tokenizer.encode(prompt).ids, model.config.eos_token_id)
        reference["greedy"].append({"prompt": prompt, "tokens": ids, "margins": margins})
        print(f"{min(margins):.4f} {tokenizer.decode(ids)!r}", flush=True)
    with torch.no_grad():  # parameters alone: model.to(bfloat16) would round the rotary frequencies as well
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))
    reference["bfloat16"] = {"logprobs": logprobs_of(model, tokens)}
    (HERE / "smollm2_reference.json").write_text(json.dumps(reference, ensure_ascii=False) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
