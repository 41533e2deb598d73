"""Rebuilds Llama 2's tokenizer.json and tokenizer.model from the npm package llama-tokenizer-js 1.2.2.

    npm pack llama-tokenizer-js@1.2.2 && tar xzf llama-tokenizer-js-1.2.2.tgz
    node -e 'import("./package/llama-tokenizer.js").then(({ default: t }) => require("fs").writeFileSync("raw.json",
      JSON.stringify({ vocab: t.vocabById, merges: [...t.merges] })))'
    pip install transformers protobuf && python make_llama2.py raw.json

The package carries the vocabulary and the 61,249 merges of the published tokenizer.json. In the published
tokenizer.model every piece of text scores 259 - id, but the runs of spaces, which were added later, score -1e9;
the order of the published merges shows it.
"""

import gzip
import json
import pathlib
import sys

from transformers.utils import sentencepiece_model_pb2_new as pb

HERE = pathlib.Path(__file__).parent


def tokenizer_json(vocab: list[str], merges: list[str]) -> dict:
    special = [("<unk>", 0), ("<s>", 1), ("</s>", 2)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    pair = [bos, text, {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": id, "content": content, **flags} for content, id in special],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "\u2581"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, text],
            "pair": pair,
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {token: id for id, token in enumerate(vocab)},
            "merges": merges,
        },
    }


def score(token: str, id: int) -> float:
    if id < 259:
        return 0.0
    return -1e9 if len(token) > 1 and set(token) == {"\u2581"} else float(259 - id)


def tokenizer_model(vocab: list[str]) -> bytes:
    model = pb.ModelProto()
    for id, token in enumerate(vocab):
        kind = 2 if id == 0 else 3 if id < 3 else 6 if id < 259 else 1
        model.pieces.add(piece=token, score=score(token, id), type=kind)
    trainer = model.trainer_spec
    trainer.model_type, trainer.vocab_size, trainer.byte_fallback = 2, len(vocab), True
    trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 0, 1, 2, -1
    normalizer = model.normalizer_spec
    normalizer.name, normalizer.add_dummy_prefix, normalizer.remove_extra_whitespaces = "identity", True, False
    return model.SerializeToString()


def main() -> None:
    raw = json.loads(pathlib.Path(sys.argv[1]).read_text())
    merges = [merge for merge, _ in sorted(raw["merges"], key=lambda entry: entry[1])]
    text = json.dumps(tokenizer_json(raw["vocab"], merges), ensure_ascii=False, separators=(",", ":"))
    for name, data in [("json", text.encode()), ("model", tokenizer_model(raw["vocab"]))]:
        (HERE / f"llama2.tokenizer.{name}.gz").write_bytes(gzip.compress(data, 9, mtime=0))


if __name__ == "__main__":
    main()
