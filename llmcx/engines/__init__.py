"""One file an engine: what a real program reserves, and how it schedules.

An inference engine answers two questions (:class:`Engine`): for how many tokens a layer has room, and how many tokens it puts
through the model at once. What its GPUs then hold is a fold over their ops (:mod:`llmcx.engines.inference_memory`). A training
engine is a :class:`~llmcx.engines.recipe.Recipe`. What share of a machine's peaks an engine reaches is data
(presets/engines/*.yaml, :mod:`llmcx.engines.efficiency`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from llmcx.errors import InputError, check_sizes, unknown_name
from llmcx.ops.op import Cache, Op

if TYPE_CHECKING:
    from llmcx.model.spec import ModelSpec

ENGINES = {
    "ideal": "ideal:Ideal",
    "transformers": "transformers:Transformers",
    "vllm": "vllm:VLLM",
    "sglang": "sglang:SGLang",
    "trtllm": "trtllm:TensorRTLLM",
    "llama.cpp": "llama_cpp:LlamaCpp",
    "mlx": "single_user:MLX",
    "exllamav2": "single_user:ExLlamaV2",
}
"""Inference engines: name -> module and class."""


class Kept(NamedTuple):
    """What ``layers`` layers of a GPU keep for the next token, in one mixer of the type ``mixer``, of a model of ``family``: the
    cache ops of one of them.
    """

    layers: int
    mixer: str
    family: str | None
    ops: tuple[Op, ...]


class GPU(NamedTuple):
    """A GPU of a pipeline's stage, as an engine needs to know it: the ops of its largest pass, its layers, whether it has the
    head; the model's width and vocabulary, tensor-parallel GPUs and stages, and the pass's tokens; GPUs among which experts are
    spread, and groups that attend for a share of the batch each; the model's family.
    """

    ops: list[Op]
    layers: int
    last: bool
    d_model: int
    vocab: int
    tp: int
    pp: int
    tokens: int
    ep: int = 1
    attention_dp: int = 1
    family: str | None = None


class Engine:
    """An inference engine. ``rule`` says in words what it reserves, with its settings in braces."""

    name: str
    rule: str
    unit: str = "pages"  # of what is kept (:meth:`paged`)
    formats: tuple[str, ...] = ()  # of its cache, where only these are known
    utilization: float = 0.9  # of an accelerator's memory, unless it is told otherwise
    wide = False  # whether weights that it makes fp8 are all there in 16 bits first
    growing = False  # whether a request begins without memory for its whole answer
    versioned = False  # whether it is known by versions, as in "vllm@0.11"
    pipelined = False  # whether stages of layers work on different requests at the same time
    more_layers = "first"  # the stages that have one more, where layers do not divide (:func:`llmcx.parallel.pipeline.stages`)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(self.name)

    def cells(self, needed: int, context: int, cache: Cache, mixed: bool) -> int:
        """Tokens for which a layer has room, of a sequence of ``context`` tokens of which later ones can meet ``needed``;
        ``mixed``: the model has windowed and full layers.
        """
        raise NotImplementedError

    def state_bytes(self, cache: Cache) -> int:
        """Bytes of a number of what does not grow with the tokens. It is never quantised with the keys and values."""
        return 2

    def pass_tokens(self, batch: int, seq: int) -> int:
        """Tokens that go through the model at once at most, for ``batch`` prompts of ``seq`` tokens."""
        raise NotImplementedError

    def paged(self, kept: tuple[Kept, ...], batch: int, context: int, kv_bytes: float, pp: int) -> dict[str, int] | None:
        """Bytes of what ``batch`` sequences keep, "kv_cache" and "state", where that is not so many elements a token: layers of
        all kinds share pages, or states have a format of their own; None: each layer has its :meth:`cells`. ``kv_bytes`` of a
        cached number.
        """
        return None

    def caching(self, kv_dtype: str) -> Engine:
        """The engine with a cache in ``kv_dtype``. Raises InputError for a format that it does not have."""
        if self.formats and kv_dtype not in self.formats:
            known = ", ".join(self.formats)
            problem = f"--engine {self.name} is known with a cache in {known}, not in {kv_dtype}"
            raise InputError(problem, field="kv_dtype", value=kv_dtype, allowed=known)
        return self

    def compute(self, spec: ModelSpec, batch: int, context: int) -> tuple[int, str] | None:
        """Bytes of the buffer for activations that the engine reserves when it starts, of ``batch`` sequences of ``context``
        tokens on one GPU, and in words what they are; None: it reserves none, or how much is not known.
        """
        return None

    def peak(self, gpu: GPU) -> tuple[int, str] | None:
        """Bytes of activations at the fullest moment, where the engine measures them when it starts, logits included, and in
        words what they are; None: the workspace of the largest pass, and logits of every sequence.
        """
        return None

    def overhead(self, gpu: GPU) -> tuple[int, str]:
        """Bytes that are neither weights, cache nor activations, and in words what they are."""
        return 0, ""

    def beside(self, gpu: GPU) -> tuple[int, str]:
        """Bytes that are taken beside the share of the memory once the cache has what is left of it, and in words what."""
        return 0, ""

    def padding(self, gpu: GPU) -> int:
        """Bytes by which experts in MXFP4 grow to the whole blocks that the engine's kernels take."""
        return 0

    def copies(self, gpu: GPU) -> int:
        """Bytes of matrices that the engine keeps in 16 bits besides, where they are stored in eight."""
        return 0

    def spare(self, taken: int) -> int:
        """Bytes that the engine leaves free beside ``taken``, where its share is one of what is left."""
        return 0

    def check(self, encoder_decoder: bool) -> None:
        """Refuse what the engine does not run. Raises InputError."""
        check_sizes(self, *self.settings())

    def check_weights(self, formats: tuple[str, ...]) -> None:
        """Refuse formats of weights that the engine does not load. Raises InputError."""

    def settings(self) -> dict[str, Any]:
        """What it is run with."""
        return dict(vars(self))

    def said(self) -> str:
        """What it reserves, with its settings, in words."""
        return self.rule.format(**self.settings())

    def notes(self) -> list[str]:
        """What to know of the version that is meant."""
        return []


def engine(name: str, **settings: Any) -> Engine:
    """An engine by name, with sizes in place of its defaults; "vllm@0.11" is that version of it.

    Raises InputError for one that is not known, or a size that it does not have.

    >>> engine("vllm", block=32).settings()
    {'block': 32, 'max_num_batched_tokens': 8192, 'max_num_seqs': 1024}
    """
    program, at, version = name.partition("@")
    if program not in ENGINES:
        raise unknown_name("engine", name, list(ENGINES), field="engine")
    module, _, kind = ENGINES[program].partition(":")
    of: Any = getattr(import_module(f"{__name__}.{module}"), kind)
    if at and not of.versioned:
        raise InputError(f"llmcx holds one version of {program}; leave out @{version}", field="engine", value=name)
    known = of().settings()
    for size in settings:
        if size not in known:
            has = f"it has {', '.join(known)}" if known else "it has no sizes"
            raise InputError(f"{program} is run without {size}; {has}", field=size, allowed=", ".join(known))
    made: Engine = of(**settings, **({"version": version} if at else {}))
    return made
