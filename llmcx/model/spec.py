"""A model as a composition of parts: plain data, checked for meaning when built.

A :class:`ModelSpec` is an embedding, an encoder and/or a decoder, a final norm and a head. A stack is its layers in their order,
as runs of identical ones: a :class:`Layers` is ``repeat`` x [mixer, cross-attention, feed-forward], and the same kind
may come again after another. Cost never grows with the number of layers, because each kind is lowered once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from llmcx.errors import InputError, check_size, check_sizes
from llmcx.model.cores import CORES, Chunked, Core, Flash, Linformer, Local, Longformer, Performer, Sliding, Standard, Strided
from llmcx.model.extras import Extra, check
from llmcx.model.ffn import FFN, Activation, Gated, MoE, Plain
from llmcx.model.layers import Layers, runs_of
from llmcx.model.mixers import Mixer
from llmcx.model.mixers.attention import Attention
from llmcx.model.norm import Norm
from llmcx.model.storage import Storage

if TYPE_CHECKING:
    from llmcx.model.pictures import Hearing, Sight
    from llmcx.model.tower import Tower
else:  # few models see or hear, and these modules are a tenth of the start
    Hearing = Sight = Tower = Any

__all__ = [
    "CORES",
    "FFN",
    "Activation",
    "Attention",
    "Chunked",
    "Core",
    "Embedding",
    "Flash",
    "Gated",
    "Head",
    "Labels",
    "Layers",
    "Linformer",
    "Local",
    "Longformer",
    "Mixer",
    "MoE",
    "ModelSpec",
    "Norm",
    "Performer",
    "Plain",
    "Sliding",
    "Standard",
    "Strided",
    "check_size",
    "check_sizes",
    "runs_of",
]


@dataclass(frozen=True)
class Embedding:
    """Tables looked up and added: tokens, learned ``positions`` (rows; None for rotary, sinusoidal or relative), segment
    ``types``.

    ``width`` below d_model is a factorised embedding, followed by a projection up (with ``projection_bias``) that reads so many
    ``neighbours`` (MobileBERT); positions, types and norm share it unless ``positions_full`` (OPT). ``normed`` normalises the
    sum. In an encoder-decoder, ``per_stack`` gives each stack positions and a norm of its own (BART), the encoder's with
    ``source_positions`` rows where these are others (LED), and ``token_tables`` 3 untied token tables: shared, encoder's,
    decoder's.
    ``borrowed``: the token table is that of the model that this one drafts for, and not counted. ``spare``
    are rows of the token table that the head does not have (Llama 3.2).
    """

    vocab: int
    positions: int | None = None
    types: int | None = None
    width: int | None = None
    projection_bias: bool = True
    positions_full: bool = False
    normed: bool = False
    per_stack: bool = False
    token_tables: int = 1
    source_positions: int | None = None
    neighbours: int = 1
    borrowed: bool = False
    spare: int = 0

    def __post_init__(self) -> None:
        check_sizes(self, "vocab", "positions", "types", "width", "source_positions", "neighbours")


@dataclass(frozen=True)
class Head:
    """The LM head: tied to the token table or a matrix of its own.

    ``transform`` puts a dense layer, an activation and a norm before it (BERT's masked-LM head), ``width`` wide where that is
    not the table's width (RemBERT); when untied, it has a ``second_bias`` over the vocabulary. A factorised embedding puts a
    projection down before it; a tied one that is wider than the table has a matrix of its own for the rest (MobileBERT).
    ``discriminator`` replaces the vocabulary by ELECTRA's verdict on each token: a dense layer and one number. ``pair`` adds
    BERT's verdict on a pair of sentences, so many numbers from the pooled token, which the language-model loss does not train.
    ``vocab``: the tokens that it scores, where they are not all (a draft model's most frequent ones). ``bottleneck``: two
    matrices before it, down to that width and up again, an activation after each (UltraBERT). ``projection_tied``: the projection
    down is the embedding's, the other way round (NeoMME). ``ahead``: how many of the next tokens it scores at each place
    (ProphetNet). ``rows``: the places that it scores, whatever the sequence's length (Perceiver).
    """

    tied: bool = True
    bias: bool = False
    transform: bool = False
    transform_bias: bool = True
    second_bias: bool = False
    discriminator: bool = False
    pair: int = 0
    width: int | None = None
    vocab: int | None = None
    bottleneck: int | None = None
    projection_tied: bool = False
    ahead: int = 1
    rows: int | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "width", "vocab", "ahead", "rows", "bottleneck")

    def outputs(self, vocab: int) -> int:
        """How many tokens it scores, of a model's ``vocab``."""
        return vocab if self.vocab is None else self.vocab


@dataclass(frozen=True)
class Labels:
    """A head of ``numbers`` labels in place of one over the vocabulary: of every token, or of one token a sequence (``once``).

    Before it may stand a ``dense`` layer with that activation (BERT's pooler), a feed-forward, a norm (``normed``).
    """

    numbers: int
    once: bool = False
    bias: bool = True
    dense: Literal["tanh", "gelu", "gelu_new", "gelu_tanh", "relu", "silu"] | None = None
    dense_bias: bool = True
    ffn: Plain | None = None
    normed: bool = False

    def __post_init__(self) -> None:
        check_sizes(self, "numbers")


@dataclass(frozen=True)
class Release:
    """Names under which the same shape is released with another context in its config.json."""

    context: int
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        check_sizes(self, "context")


@dataclass(frozen=True)
class ModelSpec:
    """A whole model. The first block of fields says what it is; the second what it is called and where it was read.

    ``labels`` is a head of labels, where there is none over the vocabulary. The final norm may be of another type than ``norm``.
    ``pooler`` is BERT's dense layer over the first token, which a language-model loss does not train. ``pad_to`` rounds the
    encoder's length up to a multiple, where it is longer than ``pad_above`` (Longformer, BigBird). ``prompt`` learned tokens
    stand before every sequence in a decoder's layers, and not in its head (CPM-Ant). ``extras`` are in every layer.
    ``towers`` see and hear for it; ``sight`` and ``hearing`` say what an image or a sound becomes. ``mtp`` layers for multi-token
    prediction are released beside it, and counted apart (:func:`llmcx.costs.params.mtp`).
    """

    name: str
    d_model: int
    embedding: Embedding
    decoder: tuple[Layers, ...] = ()
    encoder: tuple[Layers, ...] = ()
    norm: Norm = field(default_factory=Norm)
    final_norm: bool = True
    final_norm_type: Norm | None = None
    head: Head | None = field(default_factory=Head)
    labels: Labels | None = None
    pooler: bool = False
    pad_to: int | None = None
    pad_above: int = 0
    prompt: int = 0
    extras: tuple[Extra, ...] = ()
    towers: tuple[Tower, ...] = ()
    sight: Sight | None = None
    hearing: Hearing | None = None
    context: int | None = None
    mtp: int = 0

    title: str | None = None
    family: str | None = None
    year: int | None = None
    source: str | None = None
    aliases: tuple[str, ...] = ()
    releases: tuple[Release, ...] = ()
    published_params: str | None = None
    published_source: str | None = None
    training_tokens: str | None = None
    license: str | None = None
    assumes: tuple[str, ...] = ()
    stored: Storage | None = None

    def __post_init__(self) -> None:
        check_sizes(self, "d_model", "context")
        if not self.encoder and not self.decoder:
            raise InputError("a model needs layers: give decoder or encoder at least one group", field="decoder")
        for extra in self.extras:
            check(extra)
        for layers in (*self.encoder, *self.decoder):
            for attention in (layers.mixer, layers.cross):
                if isinstance(attention, Attention):
                    attention.width(self.d_model)  # refuses a width that the heads do not divide

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple([getattr(self, field.name) for field in fields(self)]))

    def __getstate__(self) -> dict[str, Any]:
        """Its fields, without what was found out about it."""
        return {key: value for key, value in self.__dict__.items() if not key.startswith("_")}

    @cached_property
    def _order(self) -> tuple[dict[str, Layers], tuple[tuple[str, int], ...]]:
        kinds: dict[str, Layers] = {}
        runs: list[tuple[str, int]] = []
        for stack, layers_in_order in (("encoder", self.encoder), ("decoder", self.decoder)):
            known: dict[Any, str] = {}
            for layers in layers_in_order:
                name = known.setdefault(layers.kind, f"{stack}.{len(known)}")
                before = kinds.get(name)
                kinds[name] = layers if before is None else replace(before, repeat=before.repeat + layers.repeat)
                runs.append((name, layers.repeat))
        return kinds, tuple(runs)

    @property
    def kinds(self) -> dict[str, Layers]:
        """Each kind of layer once, ``repeat`` the number of all its layers, by the name that its ops carry: "encoder.0",
        "decoder.0", "decoder.1", in the order in which they come first.
        """
        return self._order[0]

    @property
    def runs(self) -> tuple[tuple[str, int], ...]:
        """All layers in their order, the encoder's first: a kind's name, and how many of it follow one another."""
        return self._order[1]

    @property
    def groups(self) -> tuple[Layers, ...]:
        """Each kind of layer once (:attr:`kinds`)."""
        return tuple(self.kinds.values())

    @property
    def reads_source(self) -> bool:
        """Whether it reads one text and writes another, each of a length of its own."""
        return bool(self.decoder) and (bool(self.encoder) or any(tower.fed == "text" and tower.met for tower in self.towers))

    @property
    def n_layers(self) -> int:
        """All layers, encoder and decoder."""
        return sum(layers.repeat for layers in (*self.encoder, *self.decoder))

    @property
    def mixtures(self) -> list[tuple[int, MoE]]:
        """The mixtures of experts, each with how many layers have it."""
        return [(layers.repeat, layers.ffn) for layers in self.groups if isinstance(layers.ffn, MoE)]

    @property
    def head_counts(self) -> list[int]:
        """Heads of the mixers that have heads, which tensor parallelism divides: each number once, ascending."""
        counts = {getattr(layers.mixer, "n_heads", None) for layers in self.groups}
        return sorted(count for count in counts if isinstance(count, int))

    def with_layers(self, change: Callable[[Layers], Layers]) -> ModelSpec:
        """The same model with ``change`` applied to each kind of layer, once; ``repeat`` stays as it is."""
        changed = {name: change(layers) for name, layers in self.kinds.items()}
        made = {(name, n): replace(changed[name], repeat=n) for name, n in set(self.runs)}
        encoder, decoder = (
            runs_of(made[run] for run in self.runs if run[0].startswith(stack)) for stack in ("encoder", "decoder")
        )
        return replace(self, encoder=encoder, decoder=decoder)


def text_length(spec: ModelSpec, seq: int | None, beside: int) -> int:
    """The text's tokens: ``seq`` if given, else what ``beside`` other tokens leave of the model's context.

    Raises InputError as :func:`sequence_length` does, and where they leave nothing.
    """
    if seq is not None:
        check_size("seq", seq)
        return sequence_length(spec, seq + beside) - beside
    context = sequence_length(spec, None)
    if context <= beside:
        problem = f"images and sounds are {beside:,} tokens, which leave nothing of the context of {context:,}; give --seq"
        raise InputError(problem, field="seq", value=beside)
    return context - beside


def sequence_length(spec: ModelSpec, seq: int | None) -> int:
    """``seq`` if given, else the model's context length.

    Raises InputError when neither is known, or when the model has fewer learned positions than ``seq``.
    """
    if seq is None:
        if spec.context is None:
            raise InputError(f"{spec.name} states no context length, so give the sequence length with --seq", field="seq")
        seq = spec.context
    check_size("seq", seq)
    rows = spec.embedding.positions
    if rows is not None and seq > rows:
        raise InputError(
            f"seq is {seq}, but {spec.name} has learned positions for only {rows} tokens; a longer run needs"
            f" --set positions={seq}",
            field="seq",
            value=seq,
            allowed=f"at most {rows}",
        )
    return seq
