"""Reference logprobs and greedy tokens by transformers, in float32 unless the model is halved."""

import json

import torch
import transformers


def model_of(directory, weights, **changes):
    """The model of directory/config.json with these weights; `changes` replaces config fields after it was read."""
    name = json.loads((directory / "config.json").read_text())["architectures"][0]
    config = getattr(transformers, name.replace("ForCausalLM", "Config")).from_pretrained(directory)
    for key, value in changes.items():
        setattr(config, key, value)
    config._attn_implementation = "eager"
    model = getattr(transformers, name)(config).float().eval()
    state = dict(weights)
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise ValueError(f"{directory}: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model


def halved(model):
    """The model in float16, as from_pretrained loads it: the rotary frequencies stay in float32."""
    rotary = model.model.rotary_emb
    frequencies = {name: buffer.clone() for name, buffer in rotary.named_buffers()}
    model = model.half()
    for name, buffer in frequencies.items():
        setattr(rotary, name, buffer)
    return model


@torch.no_grad()
def logprobs_of(model, tokens):
    """ln p(tokens[i+1] | tokens[..i]), length n-1, float64."""
    logits = model(input_ids=torch.tensor([tokens[:-1]]), use_cache=False).logits[0].double()
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens[1:])[:, None])[:, 0]


@torch.no_grad()
def greedy_of(model, prompt, steps):
    """The greedy continuation and the smallest difference between the two best logits along it."""
    tokens, margins = list(prompt), []
    for _ in range(steps):
        best = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].topk(2)
        margins.append(float(best.values[0] - best.values[1]))
        tokens.append(int(best.indices[0]))
    return tokens[len(prompt) :], min(margins)
