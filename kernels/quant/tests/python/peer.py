# /// script
# requires-python = ">=3.10"
# dependencies = ["gguf==0.19.0", "libgguf==0.2.2", "numpy"]
# ///
"""What tests/suite/peer.rs asks of gguf-py and libgguf.

    peer.py check                      fails unless both packages are there
    peer.py decode FORMAT IN OUT       blocks to float32 values, the same from both or an error
    peer.py error FORMAT IN            prints the RMSE of libgguf's quantizer on float32 values
    peer.py weights MODEL LIMIT OUT    float32 values of at most LIMIT weights of a GGUF model
"""

import sys

import gguf
import libgguf
import numpy as np

BLOCK = 256


def decode(name, source, target):
    qtype = gguf.GGMLQuantizationType[name]
    blocks = np.fromfile(source, np.uint8).reshape(-1, gguf.GGML_QUANT_SIZES[qtype][1])
    with np.errstate(all="ignore"):
        values = gguf.quants.dequantize(blocks, qtype)
    if name not in ("F16", "BF16"):
        native = libgguf.dequantize_rows(blocks, int(qtype))
        same = (values.view(np.uint32) == native.view(np.uint32)) | (np.isnan(values) & np.isnan(native))
        if not same.all():
            sys.exit(f"gguf-py and libgguf differ on {(~same).sum()} values of {name}")
    values.astype("<f4").tofile(target)


def error(name, source):
    qtype = gguf.GGMLQuantizationType[name]
    x = np.fromfile(source, np.float32).reshape(-1, BLOCK)
    if name in ("F16", "BF16"):
        decoded = gguf.quants.dequantize(gguf.quants.quantize(x, qtype), qtype)
    else:
        decoded = libgguf.dequantize_rows(libgguf.quantize_rows(x, int(qtype)), int(qtype))
    print(np.sqrt(np.mean((decoded.astype(np.float64) - x) ** 2)))


def weights(model, limit, target):
    tensors = [t for t in gguf.GGUFReader(model).tensors if len(t.shape) > 1]
    share = int(limit) // len(tensors) // BLOCK * BLOCK
    parts = []
    for tensor in tensors:
        # A run of rows from the middle of each matrix.
        row_len = int(tensor.shape[0])
        n_rows = min(len(tensor.data), -(-share // row_len))
        first = (len(tensor.data) - n_rows) // 2
        values = gguf.quants.dequantize(tensor.data[first : first + n_rows], tensor.tensor_type).reshape(-1)
        parts.append(values[: min(share, len(values) // BLOCK * BLOCK)])
    np.concatenate(parts).astype("<f4").tofile(target)


def main():
    command, *arguments = sys.argv[1:]
    if command != "check":
        {"decode": decode, "error": error, "weights": weights}[command](*arguments)


main()
