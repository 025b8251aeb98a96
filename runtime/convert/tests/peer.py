"""Compares the tensors of GGUF files with what gguf-py (PyPI `gguf`) makes of the checkpoints they come from.

    peer.py CHECKPOINT FILE.gguf [CHECKPOINT FILE.gguf ...]

Names are those of gguf-py's own table, values are converted and quantized by it. Prints how many tensors are equal, bit for
bit.
"""

import json
import sys
from pathlib import Path

import numpy as np
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFReader, get_tensor_name_map
from gguf.quants import quantize

# Made from config.json, and not from a tensor of the checkpoint.
COMPUTED = {"rope_freqs.weight"}


def checkpoint(path):
    """Name and float32 values of each tensor, which are BF16 in the file."""
    data = (Path(path) / "model.safetensors").read_bytes()
    header_bytes = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + header_bytes])
    header.pop("__metadata__", None)
    for name, tensor in header.items():
        if tensor["dtype"] != "BF16":
            sys.exit(f"{name}: expected BF16, found {tensor['dtype']}")
        begin, end = (8 + header_bytes + offset for offset in tensor["data_offsets"])
        bits = np.frombuffer(data[begin:end], dtype=np.uint16).astype(np.uint32) << 16
        yield name, bits.view(np.float32).reshape(tensor["shape"])


def permute(values, n_heads):
    """Pairs that lie half a head apart come to lie side by side."""
    return values.reshape(n_heads, 2, values.shape[0] // n_heads // 2, -1).swapaxes(1, 2).reshape(values.shape)


def compare(folder, path):
    config = json.loads((Path(folder) / "config.json").read_text())
    reader = GGUFReader(path)
    name = reader.get_field("general.architecture").contents()
    arch = next(arch for arch in MODEL_ARCH if MODEL_ARCH_NAMES[arch] == name)
    names = get_tensor_name_map(arch, reader.get_field(f"{name}.block_count").contents())
    written = {tensor.name: tensor for tensor in reader.tensors}
    n_equal = 0
    for maker, values in checkpoint(folder):
        gguf = names.get_name(maker, try_suffixes=(".weight", ".bias"))
        if gguf is None:
            sys.exit(f"{folder}: gguf-py does not know {maker}")
        if arch == MODEL_ARCH.LLAMA and ".attn_q." in gguf:
            values = permute(values, config["num_attention_heads"])
        if arch == MODEL_ARCH.LLAMA and ".attn_k." in gguf:
            values = permute(values, config["num_key_value_heads"])
        tensor = written.pop(gguf)
        if values.ndim == 1 and tensor.tensor_type != GGMLQuantizationType.F32:
            sys.exit(f"{path}: {gguf} is a vector and no float32")
        if list(tensor.shape) != list(reversed(values.shape)):
            sys.exit(f"{path}: {gguf} has the shape {tensor.shape}")
        expected = quantize(values, tensor.tensor_type)
        if tensor.data.tobytes() != expected.tobytes():
            sys.exit(f"{path}: {gguf} differs")
        n_equal += 1
    left = set(written) - COMPUTED
    if left:
        sys.exit(f"{path}: {left} come from nowhere")
    return n_equal


pairs = sys.argv[1:]
print(sum(compare(folder, path) for folder, path in zip(pairs[::2], pairs[1::2])))
