"""What most families share: the outer shape of a model, attention from the usual keys, layers in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any, TypeVar

from llmcx.errors import InputError
from llmcx.huggingface.config import ROTARY, SCORES, Config
from llmcx.huggingface.labels import LABELLED, asked, known_heads, labels
from llmcx.model.spec import Attention, Embedding, Gated, Head, Layers, ModelSpec, Norm, Plain, Sliding, Standard, runs_of

Kind = TypeVar("Kind")

ACTIVATIONS: dict[str, Any] = {
    "relu": "relu",
    "relu2": "relu2",
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_fast": "gelu_new",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python": "gelu",
    "quick_gelu": "quick_gelu",
    "silu": "silu",
    "swish": "silu",
}


def activation(c: Config, key: str) -> Any:
    """The activation that ``key`` names."""
    value = c.text(key)
    if value not in ACTIVATIONS:
        raise c.wrong(key, value, f"one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[value]


def head(
    c: Config, causal: tuple[str, ...] = ("ForCausalLM", "LMHeadModel"), bias: bool = False, ties: bool = True
) -> Head | None:
    """The LM head that `architectures` asks for: by default the causal one; none for a bare model, or one with labels.

    ``ties`` False where transformers never ties it to the embedding, whatever the file says.

    Raises InputError for any other architecture: its head is not a language model's.
    """
    named = c.data.get("architectures")
    if named is not None and not (isinstance(named, list) and all(isinstance(name, str) for name in named)):
        raise c.wrong("architectures", named, "a list of class names")
    tied = c.flag("tie_word_embeddings", True)
    if not named or named[0].endswith(causal):
        return Head(tied=tied and ties, bias=bias)
    if asked(c) or _is_bare(named[0], c.model_type):
        return None
    ends = ", ".join(dict.fromkeys((*causal, *(end for end in known_heads(c) if end in LABELLED))))
    raise c.wrong("architectures", named[0], f"a class that ends in {ends}, or the bare Model of {c.model_type}")


def _is_bare(name: str, model_type: str) -> bool:
    """Whether a class is the model without any head: its name is model_type run together, in any order, and Model.

    Others end in Model too: GPT2DoubleHeadsModel, Qwen2ForRewardModel.
    """
    said, meant = (Counter(filter(str.isalnum, text.lower())) for text in (name.removesuffix("Model"), model_type))
    return name.endswith("Model") and said == meant


def model(
    c: Config, *, d_model: str | int = "hidden_size", context: str | int | None = "max_position_embeddings", **parts: Any
) -> ModelSpec:
    """A spec named after its file, with the embedding and head of the usual keys unless ``parts`` has its own; ``d_model`` and
    ``context`` are keys, or what these say.
    """
    if "decoder" in parts:
        c.ignore("is_decoder")
    made: dict[str, Any] = {
        **titles(c),
        "d_model": c.size(d_model) if isinstance(d_model, str) else d_model,
        "context": c.optional(context) if isinstance(context, str) else context,
    }
    if "embedding" not in parts:
        made["embedding"] = Embedding(c.size("vocab_size"))
    if "head" not in parts:
        made["head"] = head(c)
    if "labels" not in parts:
        made["labels"] = labels(c)
    return ModelSpec(**made, **parts)


def titles(c: Config) -> dict[str, Any]:
    """What a model is called, after its file."""
    path = PurePath(c.source)
    stem = path.parent.name if path.name in ("config.json", "params.json") and path.parent.name else path.stem
    return {"name": stem or c.model_type, "family": c.model_type, "source": c.source}


def heads(c: Config, **more: Any) -> Attention:
    """Rotary grouped-query attention from num_attention_heads, num_key_value_heads, head_dim."""
    c.ignore(*ROTARY, *SCORES)
    n_heads = c.size("num_attention_heads")
    return Attention(n_heads, c.optional("num_key_value_heads") or n_heads, head_dim(c, n_heads), **{"rope": True, **more})


def head_dim(c: Config, n_heads: int, key: str = "head_dim") -> int:
    """The stated head_dim, else hidden_size // num_attention_heads, rounded down as transformers does."""
    stated = c.optional(key)
    dim = c.size("hidden_size") // n_heads if stated is None else stated
    if dim < 1:
        raise InputError(
            f"{c.source}: hidden_size is smaller than num_attention_heads, so a head has no width", field="hidden_size"
        )
    return dim


def gated(c: Config, width: str = "intermediate_size", act: str = "hidden_act", bias: bool = False, joint: bool = False) -> Gated:
    """act(x W_gate) * x W_up, then W_down."""
    return Gated(c.size(width), bias, activation(c, act), joint=joint)


def plain(c: Config, width: str = "intermediate_size", act: str = "hidden_act", bias: bool = False) -> Plain:
    """Two matrices."""
    return Plain(c.size(width), bias, activation(c, act))


def in_order(kinds: Iterable[Kind], make: Callable[[Kind], Layers]) -> tuple[Layers, ...]:
    """A stack whose layers are of ``kinds``, in that order, as runs; ``make(kind)`` is one layer, built once a kind."""
    order = [*kinds]
    made = {kind: make(kind) for kind in dict.fromkeys(order)}
    return runs_of(made[kind] for kind in order)


def layer_types(c: Config, key: str, allowed: tuple[str, ...], count: int | None = None) -> list[str] | None:
    """The kind of each of ``count`` layers, as ``key`` lists it, under today's names; None where it lists none."""
    renamed = {"mamba": "linear_attention", "attention": "full_attention"}
    given = c.list(key)
    if given is None:
        return None
    kinds = [renamed.get(kind, kind) if isinstance(kind, str) and kind not in allowed else kind for kind in given]
    unknown = next((kind for kind in kinds if kind not in allowed), None)
    if unknown is not None or None in kinds:
        raise c.wrong(key, unknown, f"a list of {' and '.join(allowed)}")
    if not kinds or len(kinds) != (count or len(kinds)):
        raise c.wrong(key, kinds, f"a list of {count or 'some'} layers")
    return kinds


def window(size: int | None) -> Sliding | Standard:
    """A sliding window, or full attention where there is none."""
    return Standard() if size is None else Sliding(size)


def windowed_layers(c: Config, otherwise: Callable[[int], bool]) -> list[bool]:
    """Which layers have a window: those that `layer_types` lists as sliding, else layer i by ``otherwise(i)``."""
    n = layer_count(c)
    kinds = layer_types(c, "layer_types", ("sliding_attention", "full_attention"), n)
    return [otherwise(i) for i in range(n)] if kinds is None else [kind == "sliding_attention" for kind in kinds]


def layer_count(c: Config, key: str = "num_hidden_layers") -> int:
    """The number of layers of a model whose layers differ: bounded, because they are looked at one by one."""
    n = c.size(key)
    if n > 10_000:
        raise c.wrong(key, n, "at most 10,000 where layers differ")
    return n


def counts(c: Config, key: str, least: int = 1) -> list[int]:
    """A list of whole numbers, of at most 10,000 layers together."""
    given = c.list(key)
    if not given or not all(isinstance(n, int) and not isinstance(n, bool) and least <= n <= 10_000 for n in given):
        raise c.wrong(key, given, "a list of whole numbers")
    if len(given) > 50 or sum(given) > 10_000:
        raise c.wrong(key, given, "at most 50 blocks, and 10,000 layers")
    return given


RMS = Norm("rmsnorm")
WIDE_RMS = Norm("rmsnorm", fp32=True)  # scales in fp32, as OLMo 2 and its kin do
GEMMA = Norm("rmsnorm", fp32=True, offset=True)
LAYER = Norm("layernorm")
SCALE_ONLY = Norm("layernorm", bias=False)
SANDWICH = ("attention", "attention_out", "ffn", "ffn_out")  # norms before and after each part
