"""The model that a command is asked about: where it is named, the flags that change its shape, and what is said of it.

No `from __future__ import annotations` here: the annotations below are read as objects.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

from llmcx.cli.options import PRESETS, VARIANTS, argument, flag_of, option
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec

_MOST_REMEMBERED = 512
_remembered: dict[Any, tuple[ModelSpec, dict[str, Any], list[str]]] | None = None


@contextmanager
def remembering(models: dict[Any, Any]) -> Iterator[None]:
    """Within, a model asked for again by the same options is the one in ``models``, so that a sweep builds each once, and many of
    its points may read stdin.
    """
    global _remembered
    before, _remembered = _remembered, models
    try:
        yield
    finally:
        _remembered = before


@dataclass(eq=False, repr=False)  # which takes half as long to make, at every start
class Models:
    """The model source, the same on every command."""

    model: Annotated[
        list[str] | None,
        argument("Presets, files, directories, - for stdin, ORG/NAME on the hub, or a size such as 7B.", "[MODEL]...", PRESETS),
    ] = None
    preset: Annotated[
        str | None, option("A built-in model, by name.", "--preset", "-p", metavar="NAME", offers=PRESETS, group="Model")
    ] = None
    config: Annotated[
        str | None,
        option("A preset file or a Hugging Face config.json; - is stdin.", "--config", "-c", metavar="FILE", group="Model"),
    ] = None
    hf: Annotated[str | None, option("On the Hugging Face hub (extra llmcx[hub]).", metavar="ORG/NAME", group="Model")] = None
    as_type: Annotated[
        str | None,
        option("Read a config.json as this model_type.", "--as", metavar="TYPE", offers="huggingface:WHERE", group="Shape"),
    ] = None
    ignore: Annotated[
        list[str] | None,
        option(
            "A key of a config.json that is known to cost nothing; repeat.",
            "--ignore",
            reads="words",
            metavar="KEY",
            whole=True,
            group="Shape",
            rare=True,
        ),
    ] = None
    layers: Annotated[int | None, option("Layers.", "--layers", "-L", reads="count", group="Shape")] = None
    d_model: Annotated[int | None, option("Model width.", "--d-model", "-d", reads="count", group="Shape")] = None
    heads: Annotated[int | None, option("Query heads.", reads="count", group="Shape")] = None
    kv_heads: Annotated[int | None, option("Key-value heads (1 is MQA).", reads="count", group="Shape")] = None
    head_dim: Annotated[int | None, option("Width of a head.", reads="count", group="Shape", rare=True)] = None
    d_ff: Annotated[int | None, option("Feed-forward width.", reads="count", group="Shape")] = None
    vocab: Annotated[int | None, option("Vocabulary size; 32k is 32000.", reads="count", group="Shape")] = None
    positions: Annotated[int | None, option("Learned positions; 8k is 8192.", reads="length", group="Shape", rare=True)] = None
    context_length: Annotated[int | None, option("Longest context; 8k is 8192.", reads="length", group="Shape", rare=True)] = None
    experts: Annotated[int | None, option("Experts per MoE layer.", reads="count", group="Shape")] = None
    top_k: Annotated[int | None, option("Experts that each token is routed to.", reads="count", group="Shape")] = None
    experts_from: Annotated[
        str | None,
        option(
            "copy (default): each expert as wide as a dense model's feed-forward; split: d_ff / experts.",
            metavar="HOW",
            offers="copy split",
            group="Shape",
            rare=True,
        ),
    ] = None
    window: Annotated[int | None, option("Sliding window, own token included.", reads="length", group="Shape", rare=True)] = None
    ffn: Annotated[str | None, option("plain or gated.", metavar="KIND", offers="plain gated", group="Shape", rare=True)] = None
    norm: Annotated[
        str | None, option("layernorm or rmsnorm.", metavar="KIND", offers="layernorm rmsnorm", group="Shape", rare=True)
    ] = None
    attention: Annotated[
        str | None,
        option(
            "Exchange the attention: sliding:w=4096, gqa:g=8, mla, dsa:k=2048, mamba2, ... (see `llmcx explain attention`).",
            "--attention",
            "-a",
            metavar="NAME",
            offers=VARIANTS,
            group="Shape",
        ),
    ] = None
    bias: Annotated[bool | None, option("Biases in every linear layer.", "--bias/--no-bias", group="Shape", rare=True)] = None
    tied: Annotated[bool | None, option("Head tied to the token table.", "--tied/--untied", group="Shape", rare=True)] = None

    SOURCES = ("model", "preset", "config", "hf")

    def shape(self) -> dict[str, Any]:
        """The shape flags that were given."""
        sources = (*self.SOURCES, "as_type", "ignore")
        return {name: value for name, value in vars(self).items() if value is not None and name not in sources}

    def load(self) -> tuple[ModelSpec, dict[str, Any], list[str]]:
        """The model, the shape flags given, and what was assumed."""
        if _remembered is None:
            return self._load()
        key = tuple(tuple(each) if isinstance(each, list) else each for each in vars(self).values())
        if key not in _remembered:
            if len(_remembered) == _MOST_REMEMBERED:
                _remembered.clear()
            _remembered[key] = self._load()
        spec, shape, notes = _remembered[key]
        return spec, dict(shape), list(notes)

    def _load(self) -> tuple[ModelSpec, dict[str, Any], list[str]]:
        source, given = self.model, self.shape()
        for name, value in given.items():
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                problem = f"{flag_of(name)} is {value}, but must be at least 1"
                raise InputError(problem, field=name, value=value, allowed="1 or more")
        base: ModelSpec | None = None
        notes: list[str] = []
        if source is not None:
            base, notes = _source(source, self.as_type, self.ignore or ())
        elif self.as_type or self.ignore:
            flag = "--as" if self.as_type else "--ignore"
            problem = f"{flag} says how to read a config.json, so it needs one: name a file or a model on the hub"
            raise InputError(problem, field=flag)
        if not given and base is not None:
            return base, {}, [*notes, *_unchanged(base, {})]
        from llmcx.catalog.override import Shape, apply, from_shape, made_experts

        shape = Shape(**given)
        if base is None:
            base, notes = from_shape(shape)
            return base, given, notes + (made_experts(shape) if shape.experts else [])
        experts = made_experts(shape) if shape.experts and not base.mixtures else []
        return apply(base, shape), given, [*notes, *_unchanged(base, given), *experts]


def beside(models: Models, path: str) -> Models:
    """The model of the weights at ``path``, where none is named: the config.json beside them, or on the hub."""
    if models.model is not None or models.shape():
        return models
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    config = os.path.join(folder, "config.json")
    if os.path.isfile(config):
        return replace(models, model=cast(Any, config))
    from llmcx.huggingface.hub import is_repo

    if os.path.exists(path) or not is_repo(path):
        return models
    name, _, revision = path.partition("@")
    repo = "/".join(name.split("/")[:2]) + (f"@{revision}" if revision else "")
    return replace(models, model=cast(Any, f"hf:{repo}"))


def _source(source: Any, as_type: str | None, ignore: Collection[str]) -> tuple[ModelSpec, list[str]]:
    """The model that is named, and what was assumed of it."""
    from llmcx.catalog import load

    if isinstance(source, str) and (size := load.stand_in(source)) is not None:
        if as_type is not None or ignore:
            flag = "--as" if as_type is not None else "--ignore"
            raise InputError(f"{flag} says how to read a config.json, and {source} is a size, which has none", field=flag)
        from llmcx.answers.architecture import stand_in

        return stand_in(size)
    spec = load.load(source, as_type, ignore)
    return spec, []


def _unchanged(base: ModelSpec, shape: dict[str, Any]) -> list[str]:
    """What a reader may expect to move with a flag, and did not."""
    notes = [f"{base.name}: {assumed}" for assumed in base.assumes]
    if "d_model" in shape and "d_ff" not in shape and shape["d_model"] != base.d_model:
        notes.append(f"d_ff stays as {base.name} states it; give --d-ff to change it with --d-model")
    return notes


def stored_notes(spec: ModelSpec, dtype: str | None) -> list[str]:
    """What to know about the weights' format: a release's own that cannot be sized, an index that states other bytes than were
    counted, bare bits, what a format leaves alone.
    """
    stored = spec.stored
    if dtype in ("int4", "int8"):
        real = "awq, gptq, nf4, q4_k_m" if dtype == "int4" else "llm_int8, gptq:bits=8, q8_0"
        return [f"{dtype} is bare bits for every weight, without scales; real formats: {real}"]
    if dtype == "nvfp4" and spec.mixtures:
        from llmcx.formats.quant import stored_as

        if stored_as(spec, dtype).keep == ("self_attn",):
            return ["nvfp4 as NVIDIA's release of this family has it: attention is left in 16 bits"]
    if dtype is not None or stored is None:
        return []
    if stored.unsized is not None:
        return [
            f"the files state {stored.unsized}, whose bytes are not known: counted in {stored.plain}; --weights reads the files"
        ]
    from llmcx.formats.quant import index_beside

    if (counted := index_beside(spec, 100)) is None or stored.total is None:
        return []
    more = f"{stored.total / counted - 1:+.1%}"
    why = "towers, copies of tables, multi-token layers or buffers"
    return [f"the index beside the config states {stored.total:,} B, {more} of what is counted ({counted:,} B): {why}"]


def context_notes(spec: ModelSpec, tokens: int) -> list[str]:
    """Where a sequence is longer than what the model was released for."""
    if spec.context is None or tokens <= spec.context:
        return []
    return [f"longer than the context that {spec.name} states, {spec.context:,} tokens"]


def describe(spec: ModelSpec) -> dict[str, Any]:
    """The `model` of the JSON contract."""
    out = {"name": spec.name, "title": spec.title, "family": spec.family, "source": spec.source}
    return {key: value for key, value in out.items() if value is not None or key in ("name", "family", "source")}
