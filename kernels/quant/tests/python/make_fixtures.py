# /// script
# requires-python = ">=3.10"
# dependencies = ["gguf==0.19.0", "libgguf==0.2.2", "numpy"]
# ///
"""Writes the golden data of tests/suite/golden.rs: `python make_fixtures.py`.

For each format, `golden/<name>.bin` holds blocks and then the float32 values that gguf-py decodes them to.
The quants are random; the scales run through ordinary and extreme half floats. `golden/libgguf_rmse.txt`
holds the error of libgguf's quantizers on the gaussian values of tests/suite/data.rs.
"""

import pathlib

import gguf
import libgguf
import numpy as np

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"

# Byte offsets of the half-float scales in a block.
SCALES = {
    "F16": [], "BF16": [], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0],
}

# Zeros, least and greatest denormals, least normal, one, greatest, infinities, NaNs.
EXTREMES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x3C00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0xFD00]


def random_bits(i):
    with np.errstate(over="ignore"):
        z = (i.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def gaussian(n):
    bits = random_bits(np.arange(12 * n, dtype=np.uint64)).reshape(n, 12) >> np.uint64(44)
    return ((bits.sum(axis=1).astype(np.int64) - (6 << 20)) / (1 << 20)).astype(np.float32)


def random_blocks(name, rng):
    qtype = gguf.GGMLQuantizationType[name]
    block_len, block_bytes = gguf.GGML_QUANT_SIZES[qtype]
    n_blocks = {1: 512, 32: 28, 256: 10}[block_len]
    blocks = rng.integers(0, 256, (n_blocks, block_bytes), dtype=np.uint8)
    if block_len == 1:
        blocks[: len(EXTREMES)] = np.array(EXTREMES, np.uint16).view(np.uint8).reshape(-1, 2)
    for k, offset in enumerate(SCALES[name]):
        scales = (rng.standard_normal(n_blocks) / 8).astype(np.float16)
        # Extremes in every other block, so that two scales meet in every mix of ordinary and extreme.
        places = np.arange(n_blocks)[k :: 2 if n_blocks > len(EXTREMES) else 1]
        scales.view(np.uint16)[places] = np.resize(rng.permutation(EXTREMES), len(places))
        blocks[:, offset : offset + 2] = scales.view(np.uint8).reshape(n_blocks, 2)
    return blocks


def main():
    rng = np.random.default_rng(2024)
    for name in SCALES:
        blocks = random_blocks(name, rng)
        with np.errstate(all="ignore"):
            values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[name])
        data = blocks.tobytes() + values.astype("<f4").tobytes()
        (GOLDEN / f"{name.lower()}.bin").write_bytes(data)

    x = gaussian(1 << 16).reshape(-1, 1024)
    lines = []
    for name in SCALES:
        qtype = int(gguf.GGMLQuantizationType[name])
        if name in ("F16", "BF16"):
            decoded = gguf.quants.dequantize(gguf.quants.quantize(x, gguf.GGMLQuantizationType[name]), gguf.GGMLQuantizationType[name])
        else:
            decoded = libgguf.dequantize_rows(libgguf.quantize_rows(x, qtype), qtype)
        rmse = np.sqrt(np.mean((decoded.astype(np.float64) - x) ** 2))
        lines.append(f"{name} {rmse:.9f}\n")
    (GOLDEN / "libgguf_rmse.txt").write_text("".join(lines))


main()
