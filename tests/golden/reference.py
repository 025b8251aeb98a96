#!/usr/bin/env python3
"""Computes the golden numbers anew: what a model says about given tokens, all in float32.

    reference.py MODEL.gguf GOLDEN.json            compare with the numbers in GOLDEN.json
    reference.py MODEL.gguf GOLDEN.json --write    write them there

The token ids are those in GOLDEN.json. Weights are dequantized by gguf-py (PyPI `gguf`), the rest is numpy: nothing of
Silhak or llama.cpp takes part. Architectures: llama, qwen2, gemma3. No KV cache, one window.
"""

import argparse
import json
import sys

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize

# Of the mean NLL in nats: sums in another order, nothing else.
TOLERANCE = 2e-5


class Weights:
    """Metadata and dequantized tensors of a GGUF file."""

    def __init__(self, path):
        self.reader = GGUFReader(path)
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}
        self.arch = self.reader.get_field("general.architecture").contents()

    def get(self, key, default=None):
        """The metadata value ARCH.key."""
        field = self.reader.get_field(f"{self.arch}.{key}")
        if field is None:
            if default is None:
                raise KeyError(f"{self.arch}.{key}")
            return default
        return field.contents()

    def __contains__(self, name):
        return name in self.tensors

    def __getitem__(self, name):
        """[rows, row length], float32."""
        tensor = self.tensors[name]
        return dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)

    def linear(self, x, name):
        """x [n_tokens, n_in] -> [n_tokens, n_out], with the bias if there is one."""
        y = x @ self[f"{name}.weight"].T
        return y + self[f"{name}.bias"] if f"{name}.bias" in self else y


def rms_norm(x, weight, epsilon):
    return x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + np.float32(epsilon)) * weight


def rope(x, base, adjacent_pairs):
    """x [n_tokens, n_heads, head_dim], rotated by the position; RoFormer's pairs or GPT-NeoX's halves."""
    n_tokens, _, head_dim = x.shape
    frequency = base ** (-np.arange(0, head_dim, 2, dtype=np.float64) / head_dim)
    angle = np.arange(n_tokens)[:, None] * frequency
    cos, sin = (f(angle).astype(np.float32)[:, None, :] for f in (np.cos, np.sin))
    out = np.empty_like(x)
    half = head_dim // 2
    first, second = (np.s_[..., 0::2], np.s_[..., 1::2]) if adjacent_pairs else (np.s_[..., :half], np.s_[..., half:])
    out[first] = x[first] * cos - x[second] * sin
    out[second] = x[first] * sin + x[second] * cos
    return out


def attention(q, k, v, window):
    """Causal attention; q [n_tokens, n_heads, head_dim], k and v with n_kv_heads. window: tokens seen, 0 for all."""
    n_tokens, n_heads, head_dim = q.shape
    group = n_heads // k.shape[1]
    position = np.arange(n_tokens)
    distance = position[:, None] - position[None, :]
    hidden = (distance < 0) | (distance >= window) if window else distance < 0
    out = np.empty((n_tokens, n_heads, v.shape[2]), dtype=np.float32)
    for head in range(n_heads):
        scores = q[:, head] @ k[:, head // group].T / np.float32(np.sqrt(head_dim))
        scores[hidden] = -np.inf
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        out[:, head] = scores / scores.sum(axis=1, keepdims=True) @ v[:, head // group]
    return out.reshape(n_tokens, -1)


def silu(x):
    return x / (1 + np.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)))


def logits(w, ids):
    """[n_tokens, n_vocab]"""
    gemma = w.arch == "gemma3"
    if w.arch not in ("llama", "qwen2", "gemma3"):
        sys.exit(f"architecture {w.arch} is not one of llama, qwen2, gemma3")
    n_embd, n_heads = w.get("embedding_length"), w.get("attention.head_count")
    n_kv_heads = w.get("attention.head_count_kv")
    head_dim = w.get("attention.key_length", n_embd // n_heads)
    epsilon = w.get("attention.layer_norm_rms_epsilon")
    base = w.get("rope.freq_base", 10000.0)
    activation = gelu_tanh if gemma else silu

    def norm(x, name):
        return rms_norm(x, w[f"{name}.weight"], epsilon)

    embedding = w["token_embd.weight"]
    x = embedding[ids]
    if gemma:
        x = x * np.float32(np.sqrt(n_embd))
    for layer in range(w.get("block_count")):
        name = f"blk.{layer}"
        # Gemma 3: five local layers, then a global one; local ones have their own RoPE base.
        local = gemma and (layer + 1) % 6 != 0
        h = norm(x, f"{name}.attn_norm")
        q = w.linear(h, f"{name}.attn_q").reshape(len(ids), n_heads, head_dim)
        k = w.linear(h, f"{name}.attn_k").reshape(len(ids), n_kv_heads, head_dim)
        v = w.linear(h, f"{name}.attn_v").reshape(len(ids), n_kv_heads, head_dim)
        if gemma:
            q, k = norm(q, f"{name}.attn_q_norm"), norm(k, f"{name}.attn_k_norm")
        q, k = (rope(heads, 10000.0 if local else base, w.arch == "llama") for heads in (q, k))
        window = w.get("attention.sliding_window") if local else 0
        h = w.linear(attention(q, k, v, window), f"{name}.attn_output")
        x = x + (norm(h, f"{name}.post_attention_norm") if gemma else h)
        h = norm(x, f"{name}.ffn_norm")
        h = activation(w.linear(h, f"{name}.ffn_gate")) * w.linear(h, f"{name}.ffn_up")
        h = w.linear(h, f"{name}.ffn_down")
        x = x + (norm(h, f"{name}.post_ffw_norm") if gemma else h)
    x = norm(x, "output_norm")
    return x @ (w["output.weight"] if "output.weight" in w else embedding).T


def predict(path, ids):
    """The fields of a golden file that follow from the model and the ids."""
    rows = logits(Weights(path), ids).astype(np.float64)
    peak = rows.max(axis=1, keepdims=True)
    log_p = rows - peak - np.log(np.exp(rows - peak).sum(axis=1, keepdims=True))
    nll = -log_p[np.arange(len(ids) - 1), ids[1:]]
    top = np.argsort(-log_p[-1])[:10]
    return {
        "mean_nll": float(nll.mean()),
        "ppl": float(np.exp(nll.mean())),
        "nll": [round(float(value), 5) for value in nll],
        "last_top10": [[int(token), round(float(log_p[-1, token]), 5)] for token in top],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("golden")
    parser.add_argument("--write", action="store_true", help="write the numbers instead of comparing them")
    arguments = parser.parse_args()
    with open(arguments.golden, encoding="utf-8") as file:
        golden = json.load(file)
    found = predict(arguments.model, golden["ids"])
    if arguments.write:
        with open(arguments.golden, "w", encoding="utf-8") as file:
            json.dump(golden | found, file)
        return
    difference = abs(found["mean_nll"] - golden["mean_nll"])
    worst = max(abs(a - b) for a, b in zip(found["nll"], golden["nll"], strict=True))
    print(f"mean NLL {found['mean_nll']:.6f}, golden {golden['mean_nll']:.6f}; largest difference of a token {worst:.6f}")
    if not difference <= TOLERANCE:
        sys.exit(f"the mean differs by {difference:.6f} nat, over {TOLERANCE}")


if __name__ == "__main__":
    main()
