"""The bytes of weight files that one GPU has: each stored tensor goes with the ops whose weights it holds.

A tensor's layer and matrix are told by its name, as transformers, or in GGUF llama.cpp, spells it; how much of a matrix the GPU
has is what :func:`llmcx.parallel.ranks.rank_ops` says of its op. So scales and packed numbers are divided as what they belong to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from llmcx.costs.params import fold
from llmcx.formats.quant import Weights
from llmcx.huggingface.files import files
from llmcx.huggingface.weights import Tensor, summed, tensors
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op, in_layers
from llmcx.parallel.pipeline import Stage, stages

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?|blk)\.(\d+)\.")
_TOWER = re.compile(r"(?:^|\.)(?:vision|visual|audio|image|vit|v\.blk|mm)[a-z_]*\.")
_ROLES = (
    (re.compile(r"\.shared_(?:expert|mlp)|_shexp\b"), "shared_expert"),
    (re.compile(r"\.experts\.|_exps\b"), "expert"),
    (re.compile(r"(?:mlp|moe)\.(?:gate|router)\.|\.router\.|ffn_gate_inp|\.e_score_correction"), "router"),
    (re.compile(r"encoder_attn|cross_attn|crossattention|EncDecAttention"), "cross"),
    (re.compile(r"\.(?:mlp|feed_forward|ffn|block_sparse_moe)\.|\.ffn_(?:up|down|gate)\."), "ffn"),
    (re.compile(r"norm|\.ln_"), "norm"),
)
_MATRICES = {
    **{"qkv": ("q", "k", "v", "qkv"), "q_proj": ("q", "q_up"), "k_proj": ("k",), "v_proj": ("v",), "o_proj": ("out",)},
    **{"kv_a_proj": ("kv_down",), "kv_b_proj": ("kv_up",), "q_a_proj": ("q_down",), "q_b_proj": ("q_up",), "out_proj": ("out",)},
    **{"attn_q.": ("q",), "attn_k.": ("k",), "attn_v.": ("v",), "attn_output": ("out",), "attn_q_a": ("q_down",)},
    **{"attn_q_b": ("q_up",), "attn_kv_a": ("kv_down",), "attn_kv_b": ("kv_up",), "attn_k_b": ("kv_up",)},
    **{"attn_v_b": ("kv_up",)},
}
"""Matrices whose shares may differ from the others' of their block, by what their names hold."""


@dataclass(frozen=True)
class Files:
    """Weight files: their bytes in all, and tensor by tensor."""

    whole: Weights
    tensors: tuple[Tensor, ...]

    def on(self, spec: ModelSpec, stage: Stage, pp: int, ops: Iterable[Op]) -> Weights:
        """What a GPU of ``stage`` among ``pp`` has, whose ops with weights are ``ops``.

        What no op of the model says (a tower, a buffer) is whole, on the GPUs of the first stage. Layers beyond the model's,
        for multi-token prediction, are not loaded.
        """
        before = sum(each.layers for each in stages(spec.runs, pp)[: stage.number])
        encoder = sum(layers.repeat for layers in spec.encoder) if spec.decoder else 0
        shares = _Shares(spec, ops)
        total = beyond = 0
        for tensor in self.tensors:
            layer = None if _TOWER.search(tensor.name) else _LAYER.search(tensor.name)
            if layer is None:
                total += shares.outside(tensor, stage)
                continue
            number = int(layer[1]) + (encoder if "decoder" in tensor.name else 0)
            if number >= spec.n_layers:
                beyond += tensor.bytes
            elif before <= number < before + stage.layers:
                total += shares.of_layer(tensor, number)
        if total == self.whole.bytes:
            return self.whole
        notes = [f"{beyond:,} B of layers for multi-token prediction are stored, and not loaded"] if beyond else []
        formula = f"{total:,} B of {self.whole.formula}"
        return replace(self.whole, bytes=total, unquantized_bytes=total, formula=formula, notes=notes)


class _Shares:
    """How much of each matrix a GPU has."""

    def __init__(self, spec: ModelSpec, ops: Iterable[Op]) -> None:
        self.kinds = [kind for kind, count in spec.runs for _ in range(count)]
        self.tied = spec.head is None or spec.head.tied
        self.whole, self.mine = _numbers(lower(spec, Run())), _numbers(ops)
        self.table = sum(count for key, count in self.whole.items() if key[1] == "embedding")

    def of_layer(self, tensor: Tensor, number: int) -> int:
        """Of a tensor in layer ``number``."""
        kind = self.kinds[number] if number < len(self.kinds) else ""
        role = next((role for pattern, role in _ROLES if pattern.search(tensor.name)), "mixer")
        if role == "norm":
            return tensor.bytes
        modules = next((names for text, names in _MATRICES.items() if text in tensor.name and role in ("mixer", "cross")), ())
        keys = [key for key in self.whole if key[:2] == (kind, role) and (not modules or key[2] in modules)]
        keys = keys or [key for key in self.whole if key[:2] == (kind, role)]
        return self._share(tensor, keys)

    def outside(self, tensor: Tensor, stage: Stage) -> int:
        """Of a tensor outside the layers."""
        name = tensor.name
        if "lm_head" in name or name.startswith("output."):
            return self._share(tensor, [key for key in self.whole if key[1] == "head"]) if stage.last else 0
        if re.search(r"embed_tokens|token_embd|wte|word_embeddings|tok_embeddings|embed_in", name):
            if stage.first:
                return self._share(tensor, [key for key in self.whole if key[1] == "embedding"])
            copy = sum(count for key, count in self.mine.items() if key[1] == "head")  # which a tied head needs there
            return self._part(tensor, copy, self.table) if stage.last and self.tied else 0
        if "norm" in name or ".ln_f" in name:
            return tensor.bytes if stage.last else 0
        return tensor.bytes if stage.first else 0

    def _share(self, tensor: Tensor, keys: list[tuple[str, str, str]]) -> int:
        whole, mine = (sum(found[key] for key in keys) for found in (self.whole, self.mine))
        return self._part(tensor, mine, whole)

    @staticmethod
    def _part(tensor: Tensor, mine: int, whole: int) -> int:
        return -(-tensor.bytes * mine // whole) if whole else tensor.bytes


def _numbers(ops: Iterable[Op]) -> Counter[tuple[str, str, str]]:
    """Parameters of one layer of each kind, or outside the layers, by role and matrix."""
    found: Counter[tuple[str, str, str]] = Counter()
    for op in ops:
        if count := fold.of(op):
            role = "norm" if op.role == "final_norm" else op.role
            found[op.group, role, op.module] += count // op.times if in_layers(op) else count
    return found


def of_files(path: str) -> Files:
    """What the files at ``path`` (:func:`llmcx.huggingface.files.files`) store. Raises InputError."""
    chosen = files(path)
    with ThreadPoolExecutor(8) as pool:
        found = tuple(tensor for some in pool.map(lambda file: [*tensors(file)], chosen) for tensor in some)
    stored = summed(len(chosen), iter(found))
    formula = f"{stored.tensors:,} tensors in {stored.files:,} files, {stored.bytes:,} B by their headers"
    bits = 8 * stored.bytes / max(stored.elements, 1)
    whole = Weights("files", stored.bytes, 0, 0, stored.bytes, bits, stored.by_dtype, formula, path, [])
    return Files(whole, found)
