"""Makes the seeds that the fuzz targets start from.

    pip install numpy gguf torch safetensors transformers protobuf && python make_seeds.py
"""

import collections
import json
import pathlib
import struct

import gguf
import numpy as np
import torch
from safetensors.numpy import save
from transformers.utils import sentencepiece_model_pb2_new as pb

SEEDS = pathlib.Path(__file__).parent / "seeds"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁", "a", "b", "▁a", "ab", "▁ab", "1", "é"]


def write(target: str, name: str, data: bytes) -> None:
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def index() -> None:
    write("index", "two.json", json.dumps({"metadata": {"total_size": 4}, "weight_map": {"a": "x.bin", "b": "y.bin"}}).encode())


def safetensors() -> None:
    arrays = {"a": np.zeros((2, 2), np.float32), "b": np.zeros(3, np.float16)}
    write("safetensors", "two.safetensors", save(arrays, {"format": "np"}))


def torch_files() -> None:
    base = torch.zeros(2, 3)
    state = collections.OrderedDict(w=base, view=base[1], half=torch.zeros(2, dtype=torch.bfloat16), n=torch.tensor(3))
    state._metadata = {"": {"version": 1}}
    cases = {
        "state_dict": state,
        "nested": {"state_dict": {"w": base}, "epoch": 3, "rate": 0.1, "name": "x", "list": [1, 2]},
        "parameter": {"w": torch.nn.Parameter(base)},
    }
    for protocol in (2, 4):
        for name, value in cases.items():
            path = SEEDS / "torch" / f"{name}_{protocol}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(value, path, pickle_protocol=protocol)


def gguf_file(target: str, name: str, describe) -> None:
    path = SEEDS / target / f"{name}.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    describe(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def plain(writer: gguf.GGUFWriter) -> None:
    writer.add_uint8("u8", 1)
    writer.add_int16("i16", -1)
    writer.add_float64("f64", 0.5)
    writer.add_bool("bool", True)
    writer.add_array("list", [1, 2, 3])
    writer.add_array("names", ["a", "b"])
    writer.add_custom_alignment(64)
    writer.add_tensor("a", np.zeros((2, 4), np.float32))
    writer.add_tensor("b", np.zeros((2, 34), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)


def llama(writer: gguf.GGUFWriter) -> None:
    tokens = ["<unk>", "<s>", "</s>", *BYTES, *WORDS]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(i) for i in range(len(WORDS))])
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * len(WORDS))
    writer.add_bos_token_id(1)
    writer.add_add_bos_token(True)
    writer.add_chat_template("{{ messages }}")


def gpt2(pre: str):
    def describe(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_list(["a", "b", "ab", "Ġ", "Ġab", "1", "<s>", "<tool>"])
        writer.add_token_types([1, 1, 1, 1, 1, 1, 3, 4])
        writer.add_token_merges(["a b", "Ġ ab"])

    return describe


def sentencepiece() -> None:
    for name, model_type, charsmap in [("bpe", 2, b""), ("unigram", 1, charsmap_a_to_b())]:
        model = pb.ModelProto()
        kinds = [2, 3, 3] + [6] * 256 + [1] * len(WORDS) + [4]
        for i, token in enumerate(["<unk>", "<s>", "</s>", *BYTES, *WORDS, "<tool>"]):
            model.pieces.add(piece=token, score=-float(max(0, i - 259)), type=kinds[i])
        model.trainer_spec.model_type, model.trainer_spec.byte_fallback = model_type, True
        model.normalizer_spec.precompiled_charsmap = charsmap
        model.normalizer_spec.remove_extra_whitespaces = model_type == 1
        write("sentencepiece", f"{name}.model", model.SerializeToString())


def charsmap_a_to_b() -> bytes:
    """One rule, a -> b: the root's children begin at unit 2, a's leaf lies behind its own offset."""
    units = [0] * 512
    units[0] = 2 << 10
    units[2 ^ ord("a")] = ord("a") | (1 << 8) | ((2 ^ ord("a") ^ 300) << 10)
    units[300] = 1 << 31
    return struct.pack("<I512I", 4 * len(units), *units) + b"b\0"


def tokenizer_json() -> None:
    added = {"single_word": False, "lstrip": True, "rstrip": False, "normalized": False, "special": True}
    specials = [{"id": 0, "content": "<s>", **added}, {"id": 9, "content": "<t>", **added, "special": False, "single_word": True}]
    bpe = {
        "type": "BPE",
        "unk_token": "<s>",
        "fuse_unk": True,
        "byte_fallback": True,
        "ignore_merges": True,
        "vocab": {"<s>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4, "Ġab": 5, "▁": 6, "<0x41>": 7, "1": 8},
        "merges": ["a b", ["Ġ", "ab"]],
    }
    unigram = {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [["<unk>", 0.0], ["▁a", -1.0], ["b", -2.0]]}
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    }
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
    split = {"type": "Split", "pattern": {"Regex": "\\s+(?!\\S)|\\p{N}{1,3}"}, "behavior": "MergedWithPrevious", "invert": True}
    normalizers = [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
        {"type": "Strip", "strip_left": True, "strip_right": False},
        *({"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents")),
    ]
    splitters = [
        split,
        metaspace,
        {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Isolated"},
        {"type": "Whitespace"},
        {"type": "WhitespaceSplit"},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    ]
    decoders = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    cases = {
        "byte_level": (bpe, None, level, level, {"type": "Sequence", "processors": [level, template]}),
        "sequences": (
            bpe,
            {"type": "Sequence", "normalizers": normalizers},
            {"type": "Sequence", "pretokenizers": splitters},
            {"type": "Sequence", "decoders": decoders},
            {"type": "RobertaProcessing", "sep": ["<s>", 0], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": True},
        ),
        "unigram": (unigram, None, metaspace, metaspace, None),
    }
    config = {
        "bos_token": "<s>",
        "eos_token": {"content": "<s>"},
        "add_bos_token": True,
        "legacy": False,
        "added_tokens_decoder": {"9": {"content": "<t>", **added}},
        "chat_template": [{"name": "default", "template": "x"}],
    }
    for name, (model, normalizer, pre_tokenizer, decoder, post_processor) in cases.items():
        document = {
            "version": "1.0",
            "added_tokens": specials if model is bpe else [],
            "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer,
            "post_processor": post_processor,
            "decoder": decoder,
            "model": model,
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        write("tokenizer_json", f"{name}.json", text)
        if model is bpe:
            write("tokenizer_json", f"{name}_config.json", text + b"\0" + json.dumps(config).encode())


GRAMMARS = {
    "j": {
        "record": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 9}, "born": {"type": "integer", "minimum": 17, "maximum": 189}},
            "required": ["name", "born"],
            "additionalProperties": False,
        },
        "list": {"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "boolean"}, "minItems": 1, "maxItems": 4},
        "numbers": {"type": ["integer", "number"], "exclusiveMinimum": -3.5, "exclusiveMaximum": 99, "multipleOf": 0.5},
        "words": {"enum": ["é日", 'a"\n', None, 1.5, [], {"a": True}]},
        "strings": {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "pattern": "^[a-c]+(x|y)$"}]},
        "tree": {"$defs": {"t": {"type": "object", "properties": {"l": {"$ref": "#/$defs/t"}, "v": {"const": 1}}}}, "$ref": "#/$defs/t"},
        "parts": {"allOf": [{"minProperties": 1}, {"type": "object", "maxProperties": 2, "patternProperties": {"^a": {}}}]},
        "either": {"oneOf": [{"type": "string", "minLength": 2}, {"type": "integer"}], "title": "t", "default": 1},
    },
    "r": {
        "classes": "[a-f\\d]{2,5}|\\p{Lu}+\\w*?|(?i:x\\s)[^\\n]",
        "nested": "((ab|a.){1,3}c?)+",
        "bytes": "\\x41\\u{e9}(?s:.)\\.",
    },
    "l": {
        "sum": 'start: term ("+" term)*\nterm: NUMBER | "(" start ")"\nNUMBER: /[0-9]+(\\.[0-9]+)?/\n%ignore /[ \\t]+/\n',
        "json": 'start: "a" j <tool>\nj: %json {"type": "array", "items": {"const": 1}}\n',
        "nested": 'start: a~1..3 | @sub\na[lazy, max_tokens=5]: /.*/ "!"\nsub: %lark {\n  start: "x"i B?\n  B: "y" & ~"z"\n}\n',
        "regex": 'start: W\nW: %regex {"substring_words": "one two two"}\n%import common.INT\n',
        "options": '%llguidance {"no_forcing": true}\nstart[capture="c", suffix="."]: T{2,4}\nT: "a".."f" | "\\u00e9"\n',
        "bits": 'start: p::0x0\np::_: "a" p::set_bit(0) %if bit_clear(0)\n  | "b" p::incr([0:3]) %if lt([0:3], 2)\n  | "" %if is_ones([0:1])\n',
    },
}


def grammars() -> None:
    choices = bytes((37 * i + 3) % 200 + 20 for i in range(24))
    for kind, sources in GRAMMARS.items():
        for name, source in sources.items():
            text = source if isinstance(source, str) else json.dumps(source, ensure_ascii=False, separators=(",", ":"))
            write("grammar", f"{kind}_{name}", kind.encode() + choices + b"\n" + text.encode())


def main() -> None:
    index()
    safetensors()
    torch_files()
    gguf_file("gguf", "plain", plain)
    gguf_file("gguf_tokenizer", "llama", llama)
    for pre in ("default", "gpt-2", "smollm", "llama-bpe", "qwen2"):
        gguf_file("gguf_tokenizer", pre, gpt2(pre))
    sentencepiece()
    tokenizer_json()
    grammars()


if __name__ == "__main__":
    main()
