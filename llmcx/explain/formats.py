"""Topics of number formats, llama.cpp's cache types, and formats of quantised weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from llmcx.answers import Line
from llmcx.costs import params
from llmcx.costs.kv_cache import cache_fold
from llmcx.explain import Draft, Example, Formula
from llmcx.explain.read import doc, examples, source
from llmcx.explain.rules import hyphens
from llmcx.explain.terms import terms
from llmcx.formats import dtypes, gguf, quant, schemes
from llmcx.model.lower import lower
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec

_IEEE = "ceil(elements · bits / 8)"
_FORMATS = {
    "bits": ("bits of one element", "bits"),
    "elements": ("numbers that are stored", "1"),
    "block": ("numbers that share a scale", "1"),
    "held": ("bytes of a block, its scales included", "bytes"),
}


def _plain_dtype(name: str, spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    n = params.count(spec)
    numbers = f"ceil({n:,} · {dtypes.bits(name)} / 8)"
    return [Line("weights, bytes", _IEEE, numbers, dtypes.size(n, name), "each parameter once")]


def _cached_dtype(name: str, spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    lines = terms(cache_fold, lower(spec, step_at(seq, batch)))
    n, (block, held) = sum(int(line.value) for line in lines), dtypes.CACHE_BLOCKS[name]
    numbers = f"ceil({n:,} / {block}) · {held}"
    return [Line("cache, bytes", "ceil(elements / block) · held", numbers, dtypes.size(n, name), "ggml/src/ggml-common.h")]


def _dtype_examples(name: str) -> list[Example]:
    return [Example(f"1,000,000 numbers in {name}", f"{dtypes.size(1_000_000, name):,} bytes"), *examples(dtypes.size)]


def _stored(name: str, spec: ModelSpec, batch: int, seq: int) -> list[Line]:
    found = quant.weights(spec, name)
    return [Line("weights, bytes", "Σ quants + scales + what stays", found.formula, found.bytes, found.source)]


def _scheme_examples(name: str) -> list[Example]:
    found = schemes.SCHEMES[name].sizes(4096, 4096)
    shown = f"{found.payload:,} + {found.scales:,} bytes, {8 * sum(found) / 4096**2:.4g} bits per weight"
    return [Example("quants and scales of a 4096 x 4096 matrix", shown), *examples(schemes.SCHEMES[name].sizes)]


def _gguf_examples(name: str) -> list[Example]:
    kind = gguf.MIXES[name]
    block = gguf.BLOCKS[gguf.fitting(kind, 4096)]
    shown = f"{4096**2 // block.elements * block.bytes:,} bytes, {8 * block.bytes / block.elements:g} bits per weight"
    return [Example(f"a 4096 x 4096 matrix in {kind}", shown)]


SCHEME_FORMULAS = {
    "gptq": "bits·d_in·d_out/8 + groups·(bits·d_out/8 + 2·d_out) + 4·d_in",
    "awq": "d_in·d_out/2 + groups·(d_out/2 + 2·d_out)",
    "nf4": "ceil(d_in·d_out/2) + 4·ceil(d_in·d_out/64) + 64",
    "nf4_double": "ceil(d_in·d_out/2) + ceil(d_in·d_out/64) + 4·ceil(ceil(d_in·d_out/64)/256) + 64 + 1024",
    "llm_int8": "d_in·d_out + 4·d_out",
    "fp8_tensor": "d_in·d_out + 4",
    "fp8_block": "d_in·d_out + 4·ceil(d_in/128)·ceil(d_out/128)",
    "mxfp4": "ceil(d_in/32)·16·d_out + ceil(d_in/32)·d_out",
    "nvfp4": "ceil(d_in/16)·8·d_out + ceil(d_in/16)·d_out + 4",
    "fp8_channel": "d_in·d_out + 4·d_out",
    "mxfp8": "d_in·d_out + ceil(d_in/32)·d_out",
    "int": "4·ceil(bits·d_in/32)·d_out + 2·groups·d_out + 16",
    "hqq": "ceil(bits·d_in·d_out/8) + 4·ceil(d_in·d_out/64)",
    "mlx": "4·ceil(bits·d_in/32)·d_out + 4·ceil(d_in/64)·d_out",
    "aqlm": "2·ceil(d_in/8)·d_out + 2·65536·8 + 2·d_out",
}
"""Bytes of one matrix, quants + scales; tests/test_explain.py puts numbers in and holds them against quant's functions."""


def of_formats() -> Iterator[Draft]:
    """Number formats, llama.cpp's cache types, and formats of quantised weights."""
    for name, bits in dtypes.BITS.items():
        yield Draft(
            name,
            f"Number format {name}: {bits} bits an element",
            "formats",
            doc(dtypes.size),
            [Formula("bytes", _IEEE, "NVIDIA A100 whitepaper, 2020" if name == "tf32" else f"{bits} bits an element, packed")],
            partial(_dtype_examples, name),
            symbols=_FORMATS,
            commands=(f"llmcx params llama-3-8b --dtype {name}",),
            applied=partial(_plain_dtype, name),
        )
    for name, (block, held) in dtypes.CACHE_BLOCKS.items():
        yield Draft(
            f"kv.{hyphens(name)}",
            f"Cache type {name}: {block} numbers in {held} bytes",
            "formats",
            doc(dtypes.size),
            [Formula("bytes", "ceil(elements / block) · held", "ggml/src/ggml-common.h of ggml-org/llama.cpp")],
            partial(_dtype_examples, name),
            symbols=_FORMATS,
            commands=(f"llmcx memory llama-3-8b --kv-dtype {name}",),
            applied=partial(_cached_dtype, name),
        )
    for name, scheme in schemes.SCHEMES.items():
        yield Draft(
            hyphens(name),
            f"Quantised weights: {name}",
            "formats",
            doc(scheme.sizes),
            [Formula("bytes of one matrix", SCHEME_FORMULAS[name], source(scheme.sizes) or scheme.source)],
            partial(_scheme_examples, name),
            symbols=_FORMATS | {"groups": ("ceil(d_in / group): inputs that share a scale, 128 unless stated", "1")},
            commands=() if name in ("fp8_block", "mxfp4") else (f"llmcx memory llama-3-8b --dtype {name}",),
            applied=partial(_stored, name),
        )
    for name, kind in gguf.MIXES.items():
        one_block = gguf.BLOCKS[gguf.fitting(kind, 4096)]
        yield Draft(
            hyphens(name),
            f"GGUF weights: {name}, mostly {kind}",
            "formats",
            f"{doc(gguf.Block)}\n\n{doc(gguf.choose)}\n\nA block of {kind}: {one_block.elements} numbers,"
            f" {one_block.payload} bytes of quants, {one_block.scales} of scales.",
            [
                Formula(
                    "bytes of a tensor",
                    "elements / block · held",
                    "ggml/src/ggml-common.h and src/llama-quant.cpp of ggml-org/llama.cpp",
                )
            ],
            partial(_gguf_examples, name),
            symbols=_FORMATS,
            applied=partial(_stored, name),
        )
