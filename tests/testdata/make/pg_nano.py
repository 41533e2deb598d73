#!/usr/bin/env python3
"""Makes ../pg_nano_expected.json: what transformers computes for pg-nano-yarn-2k in float32 on its float16 weights.

usage: python pg_nano.py

  text, tokens, logprobs, prompt_text, prompt, greedy, margin   as in the tiny checkpoints' expected.json; the text is
                  longer than the original context
  passkey         prompt: a passkey prompt whose key stands about 1,500 tokens before its end; prompt_tokens: its length;
                  key; yarn, plain: the six greedy tokens with the checkpoint's YaRN and with plain RoPE; yarn_margin,
                  plain_margin: the smallest difference of the two best logits along them
"""

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from make import TEXT, find_greedy, text_of
from reference import greedy_of, logprobs_of

DIRECTORY = Path(__file__).parent.parent / "pg-nano-yarn-2k"
N_TOKENS, ANSWER_TOKENS = 640, 6
KEY, BEFORE, AFTER = 14577, 1750, 5250  # as in the demo; characters of filler
FILLER = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. " * 100


def passkey_prompt():
    """The prompt of jquesnelle/yarn's eval/passkey.py."""
    return "\n".join(
        [
            "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
            "I will quiz you about the important information there.",
            FILLER[:BEFORE],
            f"The pass key is {KEY}. Remember it. {KEY} is the pass key.",
            FILLER[:AFTER],
            "What is the pass key? The pass key is",
        ]
    )


def main():
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(DIRECTORY / "tokenizer.json"))
    yarn = LlamaForCausalLM.from_pretrained(DIRECTORY, dtype=torch.float32).eval()
    plain_config = transformers.LlamaConfig.from_pretrained(DIRECTORY)
    plain_config.rope_parameters = {"rope_type": "default", "rope_theta": 10000.0}
    plain = LlamaForCausalLM.from_pretrained(DIRECTORY, config=plain_config, dtype=torch.float32).eval()

    text, tokens = text_of(tokenizer, 26, N_TOKENS)
    prompt_text, prompt, greedy, margin = find_greedy(yarn, tokenizer)
    question = passkey_prompt()
    ids = tokenizer.encode(question).ids
    with_yarn, yarn_margin = greedy_of(yarn, ids, ANSWER_TOKENS)
    with_plain, plain_margin = greedy_of(plain, ids, ANSWER_TOKENS)
    if tokenizer.decode(with_yarn) != f" {KEY}" or str(KEY) in tokenizer.decode(with_plain):
        raise ValueError(f"yarn: {tokenizer.decode(with_yarn)!r}, plain: {tokenizer.decode(with_plain)!r}")
    expected = {
        "transformers": transformers.__version__,
        "text": text,
        "tokens": tokens,
        "logprobs": [round(value, 6) for value in logprobs_of(yarn, tokens).tolist()],
        "prompt_text": prompt_text,
        "prompt": prompt,
        "greedy": greedy,
        "margin": round(margin, 4),
        "passkey": {
            "prompt": question,
            "prompt_tokens": len(ids),
            "key": str(KEY),
            "yarn": with_yarn,
            "yarn_margin": round(yarn_margin, 4),
            "plain": with_plain,
            "plain_margin": round(plain_margin, 4),
        },
    }
    path = DIRECTORY.parent / "pg_nano_expected.json"
    path.write_text(json.dumps(expected, ensure_ascii=False) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
