#!/usr/bin/env python3
"""Splits a GGUF file into several, as llama.cpp's gguf-split does: python split_gguf.py FILE.gguf FOLDER MOST_TENSORS.

needs: pip install gguf numpy
"""

import sys
from pathlib import Path

from gguf import GGUFReader, GGUFValueType, GGUFWriter

source, folder, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
reader = GGUFReader(source)
folder.mkdir(exist_ok=True)
out = GGUFWriter(folder / "model.gguf", reader.get_field("general.architecture").contents(), split_max_tensors=most)
for name, field in reader.fields.items():
    if name.startswith("GGUF.") or name == "general.architecture":
        continue
    kind = field.types[0]
    out.add_key_value(name, field.contents(), kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)
for tensor in reader.tensors:
    out.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
