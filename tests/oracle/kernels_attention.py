"""How tests/oracle/kernel_laws.py reads the tables of attention, and where its fits start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

from llmcx.machine.kernels import attention
from tests.oracle.kernel_laws import DTYPES, Group, Kind, Row, at_once

STORED = {"bf16": 2.0, "fp8": 1.0, "bf16_kv_fp8": 1.0}
"""Bytes of an element of the cache. In the middle of a prefill's: what is multiplied; bf16_kv_fp8 has its cache alone in fp8."""

CHUNKED = 8192
"""SGLang's kernels for Hopper take this window for the chunks of Llama 4, which see less than a window does: left out."""


def _group(line: Mapping[str, str], dtype: str) -> Group:
    triton = line["engine"] == "sglang" and line["kernel_source"] == "triton"
    return line["hardware"], "sglang_triton" if triton else line["engine"], dtype


def _attends(new: str, line: Mapping[str, str]) -> tuple[int, ...] | None:
    """Batch, heads, heads with keys, width of a head, window, and the tokens that ``new`` names."""
    window, tokens = int(float(line["window_size"] or 0)), int(line[new])
    if window == CHUNKED < tokens and line["kernel_source"] == "fa3":
        return None
    names = ("batch_size", "num_heads", "num_key_value_heads", "head_dim")
    return *(int(line[name]) for name in names), window, tokens


def _cache(line: Mapping[str, str]) -> str:
    return DTYPES.get(line["kv_cache_dtype"], line["kv_cache_dtype"])


def _multiplied(line: Mapping[str, str]) -> str:
    multiplied = DTYPES.get(line["attn_dtype"], line["attn_dtype"])
    return multiplied if multiplied == _cache(line) else f"{multiplied}_kv_{_cache(line)}"


def _seconds(line: Mapping[str, str]) -> float:
    return float(line["latency"]) * 1e-3


def read_decode(line: Mapping[str, str]) -> Row | None:
    """A line of decode_attention.csv."""
    shape = _attends("step", line)
    return Row(_group(line, _cache(line)), shape, _seconds(line)) if shape else None


def read_prefill(line: Mapping[str, str]) -> Row | None:
    """A line of prefill_attention.csv."""
    shape = _attends("isl", line)
    return Row(_group(line, _multiplied(line)), shape, _seconds(line)) if shape else None


def read_latent_decode(line: Mapping[str, str]) -> Row:
    """A line of decode_mla.csv: its heads are those of one GPU, whatever tp_size says."""
    shape = int(line["batch_size"]), int(line["num_heads"]), int(line["step"])
    return Row((line["hardware"], line["engine"], _cache(line)), shape, _seconds(line))


def read_latent_prefill(line: Mapping[str, str]) -> Row:
    """A line of prefill_mla.csv."""
    shape = int(line["batch_size"]), int(line["num_heads"]), int(line["isl"])
    dtype = "bf16" if _cache(line) == "bf16" else "bf16_kv_fp8"
    return Row((line["hardware"], line["engine"], dtype), shape, _seconds(line))


def read_encoder(line: Mapping[str, str]) -> Row:
    """A line of encoder_attention.csv."""
    shape = int(line["batch_size"]), int(line["num_heads"]), int(line["head_dim"]), int(line["isl"])
    return Row((line["hardware"], line["engine"], "bf16"), shape, _seconds(line))


Bounds = dict[str, tuple[float, float, float]]


def decode_bounds(group: Group) -> Bounds:
    """Start, least and most of each constant."""
    return {
        "launch_us": (7, 1, 60),
        "narrow_us": (0.3, 0.001, 10),
        "tile_us": (0.5, 0.001, 20),
        "memory": (0.85, 0.1, 1),
        "flops": (0.5, 0.005, 1),
        "block_us": (1, 0.001, 60),
        "grows": (0.1, 0.001, 1),
        "alone_us": (1, 0.001, 60),
        "wide_us": (0.5, 0.001, 60),
        "resident": (1, 0.5, 8),
        "outside_us": (0.5, 1e-3, 20),
        "l2": (2, 1, 20),
        "sharp": (2, 1, 8),
        "split_us": (0.5, 1e-4, 10),
        "stored": (STORED[group[2]],) * 3,
    }


def latent_decode_bounds(group: Group) -> Bounds:
    """The same: there is neither a window nor another width. SGLang on Hopper unpacks a cache in fp8, for all heads at once."""
    slow = {"memory": (0.15, 0.05, 1.0)} if group[1:] == ("sglang", "fp8") and group[0] in ("h100", "h200") else {}
    return decode_bounds(group) | {"narrow_us": (0, 0, 0), "wide_us": (0, 0, 0), "outside_us": (0, 0, 0)} | slow


def decode_choices(group: Group) -> list[dict[str, float]]:
    """Heads in a block; above how many that share keys each is alone; whether each is alone where there is a window."""
    each = product((16, 64), (32, 1e9), (0, 1))
    return [{"packed": packed, "most": most, "windowless": alone, "splits": 128} for packed, most, alone in each]


def latent_decode_choices(group: Group) -> list[dict[str, float]]:
    """Heads in a block; whether the context is split."""
    each = product((16, 128), (1, 128))
    return [{"packed": packed, "most": 1e9, "windowless": 0, "splits": splits} for packed, splits in each]


def prefill_bounds(group: Group) -> Bounds:
    """Start, least and most of each constant."""
    return {
        "launch_us": (9, 1, 100),
        "flops": (0.6, 0.02, 1),
        "softmax": (20, 0.01, 500),
        "block_us": (1, 0.001, 60),
        "wide_us": (0.5, 0.001, 60),
        "tile_us": (0.7, 0.001, 50),
        "memory": (0.7, 0.1, 1),
        "sharp": (1.5, 1, 8),
        "skipped": (0.01, 1e-4, 1),
        "windowed": (1.1, 1, 6),
        "wide": (1.1, 1, 6),
        "stored": (STORED[group[2]],) * 3,
    }


def latent_prefill_bounds(group: Group) -> Bounds:
    """The same: there is neither a window nor another width."""
    return prefill_bounds(group) | {"wide_us": (0, 0, 0), "skipped": (0, 0, 0), "windowed": (1, 1, 1), "wide": (1, 1, 1)}


def encoder_bounds(group: Group) -> Bounds:
    """The same."""
    return prefill_bounds(group) | {"skipped": (0, 0, 0), "windowed": (1, 1, 1), "wide": (1, 1, 1)}


def prefill_choices(group: Group) -> list[dict[str, float]]:
    """Queries in a block, of one head or of all that share keys."""
    return [{"rows": rows, "packed": packed} for rows, packed in product((64, 128, 256), (0, 1))]


def one_head(group: Group) -> list[dict[str, float]]:
    """Queries in a block where every head has keys of its own."""
    return [{"rows": rows, "packed": 0} for rows in (64, 128, 256)]


def _kind(
    name: str,
    read: Callable[[Mapping[str, str]], Row | None],
    law: str,
    bounds: Callable[[Group], Bounds],
    choices: Callable[[Group], list[dict[str, float]]],
    seconds: Callable[..., float],
) -> Kind:
    return Kind(
        name,
        (TABLES[name],),
        read,
        law,
        bounds,
        seconds,
        arithmetic=lambda dtype: "fp8" if dtype == "fp8" and law.endswith("Prefill") else "bf16",
        many=at_once(seconds),
        choices=choices,
        comparable=lambda group: group[1] != "sglang_triton",
        least_squares={"f_scale": 0.1},
    )


TABLES = {
    "decode_attention": "decode_attention",
    "prefill_attention": "prefill_attention",
    "latent_decode": "decode_mla",
    "latent_prefill": "prefill_mla",
    "encoder_attention": "encoder_attention",
}

KINDS = [
    _kind("decode_attention", read_decode, "attention.Decode", decode_bounds, decode_choices, attention.decode),
    _kind("prefill_attention", read_prefill, "attention.Prefill", prefill_bounds, prefill_choices, attention.prefill),
    _kind(
        "latent_decode",
        read_latent_decode,
        "attention.Decode",
        latent_decode_bounds,
        latent_decode_choices,
        attention.latent_decode,
    ),
    _kind("latent_prefill", read_latent_prefill, "attention.Prefill", latent_prefill_bounds, one_head, attention.latent_prefill),
    _kind("encoder_attention", read_encoder, "attention.Prefill", encoder_bounds, one_head, attention.encoder),
]
