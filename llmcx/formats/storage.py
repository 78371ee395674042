"""Weights in a format, module by module: what a method quantises, what it leaves alone, and the bytes of both.

By rule over the ops' typed fields: a method quantises the matrices inside the layers. It leaves alone what is no such matrix
(norms, biases, filters, vectors, positions), routers, and the token table and the head unless it says otherwise; and the modules
that a release names. So it holds for every family, and for the ops of one GPU as for those of the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from llmcx.costs.params import fold
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec
from llmcx.model.storage import Storage
from llmcx.ops.op import Op

QUANTISED = ("mixer", "beside", "cross", "ffn", "expert", "shared_expert")
"""Roles whose matrices a method quantises."""
TABLES = ("embedding", "head", "router")
"""Roles that only some methods touch: of a linear op or a lookup."""


class Portion(NamedTuple):
    """``times`` layers' worth of a matrix, in ``format``; ``copies`` of it in each."""

    format: str
    op: Op
    times: int


def portions(spec: ModelSpec, stored: Storage, ops: Iterable[Op]) -> tuple[list[Portion], int]:
    """The matrices of ``ops``, each with its format; and the numbers of all else, which are in ``stored.plain``."""
    names = _names(spec, stored)
    found: list[Portion] = []
    plain = 0
    for op in ops:
        count = fold.of(op)
        if not count:
            continue
        if not is_matrix(op, stored.tables):
            plain += count
            continue
        matrix = op.copies * op.times * size(op)
        plain += count - matrix  # its biases
        for form, times in names.formats(op).items():
            if form == stored.plain:
                plain += op.copies * times * size(op)
            else:
                found.append(Portion(form, op, times))
    return found, plain


@lru_cache(maxsize=16)
def _names(spec: ModelSpec, stored: Storage) -> Names:
    return Names(spec, stored)


def is_matrix(op: Op, tables: bool) -> bool:
    """Whether a method may quantise it."""
    if op.kind == "lookup":
        return tables and op.role == "embedding"
    if op.kind != "linear" or op.dims.get("tied"):
        return False
    return op.role in QUANTISED or (tables and op.role in TABLES)


def size(op: Op) -> int:
    """Numbers in one matrix."""
    return op.dims["d_in"] * op.dims["d_out"] if op.kind == "linear" else op.dims["rows"] * op.dims["width"]


def shape(op: Op) -> tuple[int, int]:
    """Inputs and outputs of one matrix."""
    return (op.dims["d_in"], op.dims["d_out"]) if op.kind == "linear" else (op.dims["width"], op.dims["rows"])


# --- modules by their names -------------------------------------------------------------------------------------------

_ATTENTION = ("self_attn", "attention", "attn", "self_attention")
_MIXERS = {
    **dict.fromkeys(("gated_delta", "kimi_delta", "lightning"), ("linear_attn", "self_attn", "attention", "mixer")),
    **dict.fromkeys(("mamba", "mamba2"), ("mixer", "mamba", "ssm", "linear_attn")),
    "short_conv": ("conv", "short_conv"),
    "rg_lru": ("temporal_block",),
}
_FEED = ("mlp", "feed_forward", "ffn", "block_sparse_moe", "mixer")
_BLOCKS = {
    "cross": ("encoder_attn", "cross_attn"),
    "ffn": _FEED,
    "expert": tuple(f"{block}.experts.0" for block in _FEED),
    "shared_expert": tuple(f"{block}.{name}" for block in _FEED for name in ("shared_experts", "shared_expert", "shared_mlp")),
}
_BESIDE = {"expert": ("experts.0", "moe.experts.0"), "shared_expert": ("mlp",)}
"""In Gemma 4, whose experts stand beside the feed-forward and not in it."""
_MODULES = {
    **{
        "q": ("q_proj", "wq_b", "query"),
        "k": ("k_proj", "wk", "key"),
        "v": ("v_proj", "value"),
        "qkv": ("qkv_proj", "in_proj_qkv"),
    },
    **{
        "out": ("o_proj", "out_proj", "dense"),
        "gate": ("gate_proj", "w1", "in_proj_z", "g_proj"),
        "up": ("up_proj", "w3", "fc1"),
    },
    **{"down": ("down_proj", "w2", "fc2"), "q_down": ("q_a_proj",), "q_up": ("q_b_proj", "q_proj"), "in": ("in_proj",)},
    **{"kv_down": ("kv_a_proj_with_mqa",), "kv_up": ("kv_b_proj",), "beta_decay": ("in_proj_ba", "in_proj_b", "in_proj_a")},
    **{
        "weights": ("weights_proj", "indexers_proj"),
        "router": ("mlp.gate", "mlp.router", "block_sparse_moe.gate", "router", "gate"),
    },
    "shared_gate": ("mlp.shared_expert_gate",),
}
"""What transformers calls a matrix."""
_PREFIX = re.compile(r"^(?:(?:model|language_model|text_model|transformer|backbone|decoder)\.)+")
_LAYER = re.compile(r"layers\.(\d+)\.")
_EXPLOSIVE = re.compile(r"[*+}|][^()]*\)[*+{]|(?:[*+{].*){12}")
_ROOTS = ("", "model.", "model.language_model.", "language_model.model.")

Match = Callable[[str], bool]


def matcher(pattern: str) -> Match:
    """Whether a module's name is meant by a release's pattern: a name or a part of one, wildcards, "=" and a whole name, or "re:"
    and an expression.

    >>> [matcher(p)("layers.3.mlp.gate") for p in ("model.layers.*.mlp.gate", "re:.*mlp.gate$", "gate", "lm_head", "mlp.gat")]
    [True, True, True, False, False]
    >>> [matcher(p)("layers.3.mlp.gate") for p in ("=model.layers.3.mlp.gate", "=model.layers.3.mlp")]
    [True, False]
    """
    if pattern.startswith("re:"):
        if len(pattern) > 1000 or _EXPLOSIVE.search(pattern):  # a file is anybody's, and such an expression may take for ever
            problem = f"the module pattern {pattern[:80]!r} repeats what is repeated already, or is too long to be tried"
            raise InputError(problem, field="quantization_config", value=pattern[:200])
        try:
            found = re.compile(pattern[3:])
        except re.error as error:
            problem = f"the module pattern {pattern[:80]!r} is no regular expression: {error}"
            raise InputError(problem, field="quantization_config", value=pattern[:200]) from None
        return lambda name: any(found.match(root + name) for root in _ROOTS)
    if pattern.startswith("="):
        whole = _PREFIX.sub("", pattern[1:])
        return lambda name: name == whole
    bare = _PREFIX.sub("", pattern)
    if any(letter in bare for letter in "*?["):
        return lambda name: fnmatchcase(name, bare) or fnmatchcase(name, f"{bare}.*") or fnmatchcase(name, f"*.{bare}")
    inside = f".{bare}."
    return lambda name: inside in f".{name}."


class Patterns:
    """Patterns, those of one layer found by its number, so that a list of thousands is read once."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.everywhere: list[Match] = []
        self.layers: dict[int, list[Match]] = {}
        for pattern in patterns:
            layer = None if pattern.startswith("re:") else _LAYER.search(pattern)
            (self.everywhere if layer is None else self.layers.setdefault(int(layer[1]), [])).append(matcher(pattern))

    def mean(self, names: Iterable[str], layer: int | None) -> bool:
        """Whether one of the patterns means one of the names."""
        own = [] if layer is None else self.layers.get(layer, [])
        return any(match(name) for name in names for match in (*self.everywhere, *own))


class Names:
    """The format of each matrix of a model, layer by layer, as the names in a release decide it."""

    def __init__(self, spec: ModelSpec, stored: Storage) -> None:
        self.spec, self.stored = spec, stored
        self.keep = Patterns(stored.keep)
        self.groups = [(group.format, Patterns(group.targets)) for group in stored.groups]
        self.layers: dict[str, list[int]] = {}
        numbers: Counter[str] = Counter()
        for kind, count in spec.runs:
            stack = kind.partition(".")[0]
            self.layers.setdefault(kind, []).extend(range(numbers[stack], numbers[stack] + count))
            numbers[stack] += count
        self._found: dict[object, Counter[str]] = {}

    def formats(self, op: Op) -> Counter[str]:
        """How many of the op's layers have it in which format."""
        if not self.stored.keep and not self.groups:
            return Counter({self.stored.format: op.times})
        key = (op.group, op.role, op.module, op.component)
        if key not in self._found:
            layers = self.layers.get(op.group, [None])
            self._found[key] = Counter(self._format(op, layer) for layer in layers)
        found = self._found[key]
        whole = found.total()
        if whole == op.times or len(found) == 1:
            return found if whole == op.times else Counter({next(iter(found)): op.times})
        shared = Counter({form: count * op.times // whole for form, count in found.items()})  # of a stage: its share of them
        shared[max(found, key=lambda form: found[form])] += op.times - shared.total()
        return shared

    def _format(self, op: Op, layer: int | None) -> str:
        names = [f"layers.{layer}.{name}" if layer is not None else name for name in self._names(op)]
        for form, patterns in self.groups:
            if patterns.mean(names, layer):
                return form
        return self.stored.plain if self.keep.mean(names, layer) else self.stored.format

    def _names(self, op: Op) -> list[str]:
        """What a release may call the op's matrix."""
        if op.role == "head":
            return ["lm_head"]
        if op.role == "embedding":
            return ["embed_tokens", "wte", "word_embeddings"]
        modules = _MODULES.get(op.module, (op.module,))
        if op.role == "router":
            return list(modules)
        beside = str(self.spec.family).startswith("gemma4")
        blocks = _BESIDE.get(op.role) if beside and op.role in _BESIDE else _BLOCKS.get(op.role)
        if blocks is None:
            kind = self.spec.kinds.get(op.group)
            mixer = getattr(kind and kind.mixer, "type", "")
            blocks = _MIXERS.get(mixer, _ATTENTION)
            if mixer == "mla":  # which may have an indexer inside
                blocks = (*blocks, *(f"{block}.indexer" for block in blocks))
            if mixer == "compressed" and op.module in ("kv", "gate") and not op.reads:  # of a compressor, the indexer's too
                blocks = tuple(f"{block}.compressor" for block in blocks)
        return [f"{block}.{module}" for block in blocks for module in modules]
