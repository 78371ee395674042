"""A GGUF file read as a model: its keys say the shape, its tensors hold the count to it.

The files are written by the format's own library, with the tensors that llama.cpp stores for an architecture (src/llama-arch.cpp
and conversion in ggml-org/llama.cpp), their shapes spelled out here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.catalog.build import as_data, build
from llmcx.catalog.load import load
from llmcx.costs.params import count
from llmcx.errors import InputError

from .helpers import data, refused

np = pytest.importorskip("numpy")
gguf = pytest.importorskip("gguf")

D, FF, V, L, H, KV = 32, 40, 50, 3, 4, 2
DENSE = {"embedding_length": D, "block_count": L, "feed_forward_length": FF, "context_length": 64}
DENSE |= {"attention.head_count": H, "attention.head_count_kv": KV, "attention.layer_norm_rms_epsilon": 1e-6}
Shapes = dict[str, tuple[int, ...]]


def attention(width: int = 8, bias: bool = False, norms: bool = False) -> Shapes:
    """Projections of H heads and KV groups, as numpy has them: outputs by inputs."""
    out: Shapes = {"attn_q.weight": (H * width, D), "attn_k.weight": (KV * width, D), "attn_v.weight": (KV * width, D)}
    out |= {"attn_output.weight": (D, H * width), "attn_norm.weight": (D,)}
    out |= {"attn_q.bias": (H * width,), "attn_k.bias": (KV * width,), "attn_v.bias": (KV * width,)} if bias else {}
    return out | ({"attn_q_norm.weight": (width,), "attn_k_norm.weight": (width,)} if norms else {})


def gated(width: int = FF, end: str = "") -> Shapes:
    return {f"ffn_{leaf}{end}.weight": (D, width) if leaf == "down" else (width, D) for leaf in ("gate", "up", "down")}


def experts(n: int, width: int) -> Shapes:
    shapes = {name: (n, *shape) for name, shape in gated(width, "_exps").items()}
    return {**shapes, "ffn_gate_inp.weight": (n, D), "ffn_norm.weight": (D,)}


def write(
    path: Path, name: str, keys: dict[str, Any], layers: list[Shapes], tied: bool = False, more: Shapes | None = None
) -> str:
    """A file of architecture ``name``, its matrices in half precision."""
    writer = gguf.GGUFWriter(path, name)
    writer.add_token_list([str(i) for i in range(V)])
    for key, value in keys.items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}[type(value)]
        add(f"{name}.{key}", value)
    shapes: Shapes = {"token_embd.weight": (V, D), "output_norm.weight": (D,), **({} if tied else {"output.weight": (V, D)})}
    for i, layer in enumerate(layers):
        shapes |= {f"blk.{i}.{leaf}": shape for leaf, shape in layer.items()}
    for leaf, shape in (shapes | (more or {})).items():
        writer.add_tensor(leaf, np.zeros(shape, np.float16 if len(shape) > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


NORM: Shapes = {"ffn_norm.weight": (D,)}
SANDWICH: Shapes = {**NORM, "post_attention_norm.weight": (D,), "post_ffw_norm.weight": (D,)}
MOE = {"expert_count": 6, "expert_used_count": 2, "expert_feed_forward_length": 12}
WIDE = {"attention.key_length": 10, "attention.value_length": 10}
LATENT = {"attention.head_count_kv": 1, "attention.kv_lora_rank": 6, "attention.q_lora_rank": 14, "rope.dimension_count": 4}
LATENT |= {
    "attention.key_length": 10,
    "attention.value_length": 6,
    "attention.key_length_mla": 12,
    "attention.value_length_mla": 7,
}
LATENT |= {"leading_dense_block_count": 1, "expert_shared_count": 2, "expert_gating_func": 2, "vocab_size": V}
MLA: Shapes = {"attn_q_a.weight": (14, D), "attn_q_a_norm.weight": (14,), "attn_q_b.weight": (H * 12, 14)}
MLA |= {
    "attn_kv_a_mqa.weight": (6 + 4, D),
    "attn_kv_a_norm.weight": (6,),
    "attn_k_b.weight": (H, 6, 8),
    "attn_v_b.weight": (H, 7, 6),
}
MLA |= {"attn_output.weight": (D, H * 7), "attn_norm.weight": (D,)}
ROUTED: Shapes = {**experts(6, 12), **gated(24, "_shexp"), "exp_probs_b.bias": (6,)}
FUSED: Shapes = {"attn_qkv.weight": ((H + 2 * KV) * 8, D), "attn_output.weight": (D, D), "attn_norm.weight": (D,)}
FUSED |= {"ffn_up.weight": (2 * FF, D), "ffn_down.weight": (D, FF), **NORM}
OSS: Shapes = {**attention(bias=True), "attn_output.bias": (D,), "attn_sinks.weight": (H,), **experts(6, 12)}
OSS |= {"ffn_gate_inp.bias": (6,), "ffn_gate_exps.bias": (6, 12), "ffn_up_exps.bias": (6, 12), "ffn_down_exps.bias": (6, D)}

CASES: dict[str, tuple[str, dict[str, Any], list[Shapes], bool]] = {
    "llama": ("llama", DENSE | {"vocab_size": V, "rope.freq_base": 5e5}, [attention() | gated() | NORM] * L, False),
    "mixtral": ("llama", DENSE | {"expert_count": 6, "expert_used_count": 2}, [attention() | experts(6, FF)] * L, False),
    "mistral": ("llama", DENSE | {"attention.sliding_window": 16}, [attention() | gated() | NORM] * L, False),
    "qwen2": ("qwen2", DENSE, [attention(bias=True) | gated() | NORM] * L, True),
    "qwen2_moe": (
        "qwen2moe",
        DENSE | MOE | {"expert_shared_feed_forward_length": 20},
        [attention(bias=True) | experts(6, 12) | gated(20, "_shexp") | {"ffn_gate_inp_shexp.weight": (D,)}] * L,
        False,
    ),
    "qwen3": ("qwen3", DENSE | WIDE, [attention(10, norms=True) | gated() | NORM] * L, True),
    "qwen3_moe": ("qwen3moe", DENSE | MOE | WIDE, [attention(10, norms=True) | experts(6, 12)] * L, False),
    "gemma2": ("gemma2", DENSE | WIDE | {"attention.sliding_window": 16}, [attention(10) | gated() | SANDWICH] * L, True),
    "gemma3_text": (
        "gemma3",
        DENSE | WIDE | {"attention.sliding_window": 16},
        [attention(10, norms=True) | gated() | SANDWICH] * L,
        True,
    ),
    "phi3": ("phi3", DENSE | {"attention.sliding_window": 16, "rope.dimension_count": 8}, [FUSED] * L, False),
    "deepseek_v3": ("deepseek2", DENSE | MOE | LATENT, [MLA | gated() | NORM, *[MLA | ROUTED] * (L - 1)], False),
    "gpt_oss": (
        "gpt-oss",
        DENSE | MOE | {"attention.sliding_window": 16, "attention.key_length": 8, "attention.value_length": 8},
        [OSS] * L,
        False,
    ),
}
"""The family that a file is: its architecture, its keys, the tensors of each layer, a tied head."""


def numbers(layers: list[Shapes], tied: bool) -> int:
    """The numbers of the model's own tensors: without what steers the choice of experts, a buffer in transformers."""
    inside = sum(int(np.prod(shape)) for layer in layers for leaf, shape in layer.items() if leaf != "exp_probs_b.bias")
    return inside + (1 if tied else 2) * V * D + D


@pytest.mark.parametrize("family", CASES)
def test_a_file_of_each_architecture_has_the_count_of_its_tensors(tmp_path: Path, family: str) -> None:
    name, keys, layers, tied = CASES[family]
    spec = load(write(tmp_path / "model.gguf", name, keys, layers, tied, {"rope_freqs.weight": (4,)}))
    assert (spec.family, count(spec)) == (family, numbers(layers, tied))
    assert spec.n_layers == L and spec.head is not None and spec.head.tied == tied
    windowed = [layers.mixer.core.type == "sliding" for layers in spec.groups if hasattr(layers.mixer, "core")]
    assert any(windowed) == ("attention.sliding_window" in keys)


def test_the_bytes_are_those_that_the_file_lists(tmp_path: Path) -> None:
    """2 bytes for each number of a matrix, 4 of a vector; in every command, and only for the model as it stands in the file."""
    name, keys, layers, tied = CASES["qwen3"]
    path = write(tmp_path / "model.gguf", name, keys, layers, tied)
    spec = load(path)
    vectors = L * (2 * D + 2 * 10) + D
    found = data("params", path)["result"]
    assert (found["dtype"], found["bytes"]) == ("gguf", 2 * (count(spec) - vectors) + 4 * vectors)
    parts = {part["part"]: part["bytes"] for part in data("memory", path, "--seq", "16")["result"]["parts"]}
    assert parts["weights"] == found["bytes"]
    assert "is not as its GGUF file has it" in refused("params", path, "--vocab", "60")
    assert data("params", path, "--vocab", "60", "--dtype", "bf16")["result"]["total"] == count(spec) + 10 * D
    assert build(json.loads(json.dumps(as_data(spec)))) == spec


def test_a_directory_with_one_file_and_a_model_in_several(tmp_path: Path) -> None:
    name, keys, layers, tied = CASES["qwen3"]
    write(tmp_path / "model.gguf", name, keys, layers, tied)
    assert count(load(str(tmp_path))) == numbers(layers, tied)
    (tmp_path / "other.gguf").write_bytes((tmp_path / "model.gguf").read_bytes())
    with pytest.raises(InputError, match="2 GGUF files"):
        load(str(tmp_path))


def test_tensors_that_are_not_the_models_are_refused(tmp_path: Path) -> None:
    """A bias that no option of the family explains; a wider feed-forward than the keys say; a key that is not understood."""
    name, keys, layers, tied = CASES["llama"]
    for more, words in (
        ({"blk.0.odd.weight": (D,)}, "its tensors hold"),
        ({"blk.0.attn_sub_norm.weight": (D,)}, "so it is none"),
    ):
        with pytest.raises(InputError, match=words):
            load(write(tmp_path / "model.gguf", name, keys, layers, tied, more))
    with pytest.raises(InputError, match="its tensors hold"):
        load(write(tmp_path / "model.gguf", name, {**keys, "feed_forward_length": FF + 8}, layers, tied))
    with pytest.raises(InputError, match=r"ssm\.state_size = 16 is not understood"):
        load(write(tmp_path / "model.gguf", name, {**keys, "ssm.state_size": 16}, layers, tied))
    with pytest.raises(InputError, match=r"general\.architecture is .clip."):
        load(write(tmp_path / "model.gguf", "clip", {}, []))
    with pytest.raises(InputError, match="one number for all layers"):
        load(write(tmp_path / "model.gguf", name, {**keys, "attention.head_count_kv": [2, 1, 2]}, layers, tied))
    with pytest.raises(InputError, match="--as says how to read"):
        load(str(tmp_path / "model.gguf"), "llama")
