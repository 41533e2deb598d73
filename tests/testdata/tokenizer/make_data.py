"""Makes the tokenizer test data: torture.json and expected.json, from the tokenizers beside this file.

    pip install tokenizers==0.23.3 && python make_data.py

The ids are those of Hugging Face's `tokenizers` library. The tokenizers themselves are inputs and committed:

- smollm2.tokenizer.json.gz: of HuggingFaceTB/SmolLM2-135M-Instruct (Apache-2.0)
- ../pg-nano-yarn-2k/tokenizer.json: of this project's demo model
- llama2.tokenizer.json.gz, llama2.tokenizer.model.gz: of Llama 2, rebuilt from the vocabulary and merges in the npm
  package llama-tokenizer-js 1.2.2 (MIT) by `make_llama2.py`
"""

import gzip
import hashlib
import json
import pathlib
import struct

from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
FILES = {
    "smollm2": "smollm2.tokenizer.json.gz",
    "pg_nano": "../pg-nano-yarn-2k/tokenizer.json",
    "llama2": "llama2.tokenizer.json.gz",
}
# Every 13th code point of a plane, after a letter and before a digit, so that classes of characters matter.
STEP = 13

TORTURE = [
    "",
    " ",
    "  ",
    "\n",
    "\0",
    "a\0b\0\0c",
    "Hello world",
    "Hello, world! How are you?",
    " leading",
    "trailing ",
    "trailing  \n",
    "  two  spaces   three    four",
    "\ttab\t\ttabs \t mixed",
    "line\nline\r\nline\n\n\nline",
    "\u00a0nbsp\u2003em\u2028ls\u2029ps\u3000ideographic\u200bzw\u0085nel\ufeffbom",
    " " * 100,
    "\n" * 50,
    "x" + " " * 33 + "y",
    "don't I'll they've we're I'm he'd she's IT'S DON'T WE'LL",
    "don\u2019t \u2018quoted\u2019 \u201cdouble\u201d",
    "0 1 12 123 1234 12345 123456 1234567890",
    "3.14159 -2.5e-10 1,000,000 0xDEADBEEF 1_000 \u0664\u0665\u0666 \u0967\u0968 \u2167 \u00bd \u00b2",
    "def f(x):\n    return x ** 2  # square\n\nprint(f(3))\n",
    "for (let i = 0; i < n; i++) { a[i] += b[i] * c; }\n\t// done\n",
    "<html><body class=\"a\">&amp;&nbsp;</body></html>",
    "SELECT * FROM t WHERE a='b' AND c<>\"d\";",
    "https://example.org/a/b?c=d&e=%20#f user@example.org C:\\path\\to\\file",
    "na\u00efve caf\u00e9 \u00dcber stra\u00dfe \u0130stanbul \u017f \u212a",
    "e\u0301 a\u030a\u0301 \u1e9b\u0323 \ufb01 \u2126",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8 \ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd\u2764\ufe0f",
    "\U00010348\U0001d11e\U0001f9ff\U00020000\U0002a6d6\U00030000\U000e0041\U000f0000\U0010ffff",
    "\ufffd\ufffe\uffff\ud7ff\ue000",
    "\u0001\u0002\u007f\u0080\u009f\u00ad",
    "<s>hello</s> <unk> <pad>",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|><|endoftext|>a<|endoftext|> b <|im_start|",
    "< s > <s <S> </S> <0x0A> <0xE4><0xBD> <repo_name>x<file_sep>",
    "\u2581\u2581a\u2581 \u2581",
    "\u0120\u010a\u0100",
    "a" * 300,
    "ab" * 200,
    "\u00e9" * 60,
    "\U0001f600" * 30,
    "supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, "
    "it was the epoch of belief, it was the epoch of incredulity, it was the season of Light.",
    "CHAPTER I.\n\n  \u201cOh!\u201d said he\u2014\u2018tis--strange...\u2026 Mr. O\u2019Brien\u2019s _italic_ [1] {2} (3)\n\n\n",
    "...!!!???---===***///\\\\\\###@@@$$$%%%^^^&&&~~~```|||",
    "!?\u00a1\u00bf\u3001\u3002\uff01\uff1f\u2014\u2026\u00ab\u00bb $\u20ac\u00a3\u00a5 \u2200\u2203\u2208\u221e \u2190\u2191 \u2588\u2591",
]


def plane_text(plane: int) -> str:
    points = range(plane << 16, (plane + 1) << 16, STEP)
    return "".join(f"a{chr(p)} {chr(p)}1" for p in points if not 0xD800 <= p < 0xE000)


def digest(ids: list[int]) -> str:
    return hashlib.sha256(struct.pack(f"<{len(ids)}I", *ids)).hexdigest()


def main() -> None:
    expected = {}
    for name, file in FILES.items():
        data = (HERE / file).read_bytes()
        tokenizer = Tokenizer.from_str((gzip.decompress(data) if file.endswith(".gz") else data).decode())
        encoded = [tokenizer.encode(text).ids for text in TORTURE]
        decoded = [tokenizer.decode(ids, skip_special_tokens=False) for ids in encoded]
        expected[name] = {
            "vocab_size": tokenizer.get_vocab_size(),
            "ids": encoded,
            # Only where decoding does not give the text back.
            "decoded": {i: d for i, (d, text) in enumerate(zip(decoded, TORTURE)) if d != text},
            "book": digest(tokenizer.encode((HERE / "../pg19/keith_of_the_border.txt").read_text() * 8).ids),
            "planes": [digest(tokenizer.encode(plane_text(plane)).ids) for plane in range(17)],
        }
    (HERE / "torture.json").write_text(json.dumps(TORTURE, indent=0))
    (HERE / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
