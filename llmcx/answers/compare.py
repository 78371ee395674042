"""Two answers side by side: what differs in what was asked, by how much the figures do, and which components make the difference.

Nothing is counted here: what the folds counted is subtracted, in integers. So the changes of the components add up to the change
of their total.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from llmcx.answers import Line, Result, shown
from llmcx.model.order import labels, shorten, text
from llmcx.model.spec import ModelSpec

Value = Union[int, float, str, bool, list[str], None]
Terms = Mapping[str, Sequence[Line]]
"""The formulas of each row of an answer, by its name."""

FIGURES = {
    "params": ("total", "active", "embedding", "non_embedding", "bytes"),
    "flops": ("forward.total", "backward.total", "train.total", "per_token", "decode.total"),
    "memory": ("total_bytes", "all_gpus_bytes", "kv_bytes_per_token"),
    "serve": ("largest_batch", "first.ttft_s", "first.tpot_s", "last.tokens_per_s_gpu", "last.usd_per_million"),
}
"""Of each command's answer, by path, what is set side by side; the first of them is explained by :data:`ROWS`."""

ROWS = {"params": ("components", "params"), "flops": ("forward.components", "flops"), "memory": ("parts", "bytes")}
"""Where the rows stand that add up to the first figure, and the number in each."""

SAID = {"name", "title", "family", "year", "source", "aliases", "releases", "assumes", "training_tokens", "license"}
SAID |= {"published_params", "published_source"}
"""What a spec says of itself that no cost depends on."""


class Side(NamedTuple):
    """One of the two models."""

    name: str
    title: str | None
    family: str | None
    source: str | None


@dataclass(frozen=True)
class Difference:
    """A part of the models, by its path, or an input, by its name, that is not the same. None where a side has no such thing."""

    path: str
    a: Value
    b: Value


@dataclass(frozen=True)
class Change:
    """A figure on both sides. ``change`` is b - a, ``relative`` is that over a, or None where a is 0 or one side has no such
    figure.
    """

    command: str
    figure: str
    a: int | float | None
    b: int | float | None
    change: int | float | None
    relative: float | None


@dataclass(frozen=True)
class Cause:
    """A component's share in the change of a figure: ``change`` is b - a, and those of one figure add up to its change.

    ``a_terms`` and ``b_terms`` are the component's terms on either side: its formula, the numbers put in, what comes out.
    """

    component: str
    a: int
    b: int
    change: int
    a_terms: list[Line]
    b_terms: list[Line]


@dataclass(frozen=True)
class Why:
    """The components of a figure that are not the same, largest change first."""

    command: str
    figure: str
    change: int
    causes: list[Cause]


@dataclass(frozen=True, repr=False)
class Contrast(Result, brief="a.name b.name spec inputs figures", table="figures"):
    """How b differs from a: the models, the parts of them, the inputs, the figures, and why."""

    a: Side
    b: Side
    spec: list[Difference]
    inputs: list[Difference]
    figures: list[Change]
    why: list[Why]


def side(spec: ModelSpec) -> Side:
    """What a model is called."""
    return Side(spec.name, spec.title, spec.family, spec.source)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Value]]:
    """The numbers and words of a spec, each with its path: of each kind of layer once, and of a stack of several their order.

    >>> from llmcx.model.norm import Norm
    >>> dict(leaves(Norm("rmsnorm"), "norm"))["norm.type"]
    'rmsnorm'
    """
    if isinstance(value, ModelSpec):
        for name in shown(value) or ():
            if name in ("encoder", "decoder"):
                yield from _stack(value, name)
            elif name not in SAID:
                yield from leaves(getattr(value, name), name)
    elif (names := shown(value)) is not None:
        for name in names:
            yield from leaves(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, tuple) and any(shown(item) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, list(value) if isinstance(value, tuple) else value


def _stack(spec: ModelSpec, stack: str) -> Iterator[tuple[str, Value]]:
    """Of the kinds of layers of a stack, decoder[0] and so on, and how they follow one another."""
    kinds = {name: layers for name, layers in spec.kinds.items() if name.startswith(stack)}
    for index, layers in enumerate(kinds.values()):
        yield from leaves(layers, f"{stack}[{index}]")
    if len(kinds) > 1:
        names = labels(kinds)
        yield f"{stack}.order", text(shorten([(names[name], n) for name, n in spec.runs if name in names]))


def differences(a: Mapping[str, Value], b: Mapping[str, Value]) -> list[Difference]:
    """What is not the same, in the order of ``a``, then what only ``b`` has. What one side lacks is left out where the other side
    has nothing there either.

    >>> differences({"d": 1, "x": None}, {"d": 2, "e": 3})
    [Difference(path='d', a=1, b=2), Difference(path='e', a=None, b=3)]
    """
    found = []
    for path in {**a, **b}:
        one, two = a.get(path), b.get(path)
        if one != two or isinstance(one, bool) != isinstance(two, bool):
            alone = path not in a or path not in b
            if not (alone and one in (None, False, []) and two in (None, False, [])):
                found.append(Difference(path, one, two))
    return found


def read(result: Any, path: str) -> Any:
    """What stands at a dotted path of an answer."""
    for name in path.split("."):
        result = getattr(result, name)
    return result


def change(command: str, figure: str, a: Any, b: Any) -> Change:
    """A figure on both sides.

    >>> change("params", "total", 8, 10).change, change("params", "total", 8, 10).relative
    (2, 0.25)
    """
    if a is None or b is None:
        return Change(command, figure, a, b, None, None)
    return Change(command, figure, a, b, b - a, (b - a) / a if a else None)


def why(command: str, answers: tuple[Any, Any], terms: tuple[Terms, Terms]) -> Why:
    """The first figure of a command's answers, explained by the rows that add up to it, and by both sides' ``terms``."""
    path, number = ROWS[command]

    def sums(result: Any) -> dict[str, int]:
        rows = read(result, path)
        key = (shown(rows[0]) or ("",))[0] if rows else ""
        return {getattr(row, key): int(getattr(row, number)) for row in rows}

    a, b = map(sums, answers)
    causes = [
        Cause(name, one, two, two - one, *(list(side.get(name, ())) for side in terms))
        for name in a | b
        if (one := a.get(name, 0)) != (two := b.get(name, 0))
    ]
    causes.sort(key=lambda cause: -abs(cause.change))
    return Why(command, FIGURES[command][0], sum(cause.change for cause in causes), causes)


def contrast(
    a: ModelSpec,
    b: ModelSpec,
    inputs: tuple[Mapping[str, Value], Mapping[str, Value]],
    answers: Mapping[str, tuple[Any, Any]],
    terms: Mapping[str, tuple[Terms, Terms]],
) -> Contrast:
    """``answers`` has, by command, what it answered of ``a`` and of ``b``, ``terms`` the formulas of both; ``inputs`` is what it
    was asked with.

    >>> from dataclasses import replace
    >>> from llmcx.answers.params import params
    >>> from llmcx.model.spec import Attention, Embedding, Layers, Plain
    >>> one = ModelSpec("one", 8, Embedding(10), (Layers(2, Attention(2), Plain(32)),))
    >>> two = replace(one, embedding=Embedding(20))
    >>> found = contrast(one, two, ({}, {}), {"params": (params(one), params(two))}, {"params": ({}, {})})
    >>> found.spec, [(row.component, row.change) for row in found.why[0].causes]
    ([Difference(path='embedding.vocab', a=10, b=20)], [('embedding.tokens', 80)])
    """
    return Contrast(
        side(a),
        side(b),
        differences(dict(leaves(a)), dict(leaves(b))),
        differences(*inputs),
        [
            change(command, figure, read(one, figure), read(two, figure))
            for command, (one, two) in answers.items()
            for figure in FIGURES[command]
            if (command, figure) != ("params", "bytes") or "memory" not in answers  # which knows more number formats
        ],
        [why(command, both, terms[command]) for command, both in answers.items() if command in ROWS],
    )
