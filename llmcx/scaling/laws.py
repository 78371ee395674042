"""A scaling law as data: its form, constants, uncertainty, range of validity and source (presets/laws).

Three forms. "power": N_opt = coefficient (C / compute)^exponent, a fitted line through optima. "parametric":
L = E + A / N^alpha + B / D^beta, from which the optima follow. "fine-grained": the same for a mixture of experts, with a term
that shrinks as experts are cut finer. Units: N parameters, D tokens, C FLOPs of training, L nats per token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

from llmcx.errors import InputError, unknown_name

LARGEST = 1e60
"""Far above any run, low enough that no step of the arithmetic overflows for the laws shipped."""


@dataclass(frozen=True)
class Power:
    """N_opt = ``coefficient`` (C / ``compute``)^``exponent``: ``coefficient`` is the optimum at a budget of ``compute`` FLOPs."""

    coefficient: float
    compute: float
    exponent: float


@dataclass(frozen=True)
class Parametric:
    """L(N, D) = E + A / N^alpha + B / D^beta."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float


@dataclass(frozen=True)
class FineGrained:
    """L(N, D, G) = E + (A + g / G^gamma) / N^alpha + B / D^beta of a mixture of ``experts`` times granularity G experts.

    N counts all parameters but embeddings; ``routing`` is the FLOPs of training per expert, unit of d_model and token.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    g: float
    gamma: float
    experts: float
    routing: float


Constants = Power | Parametric | FineGrained


class Repetition(NamedTuple):
    """How fast repeated tokens (``tokens``, R_D*) and parameters beyond what the data deserve (``params``, R_N*) lose value."""

    tokens: float
    params: float


class Spread(NamedTuple):
    """How well a constant is known: ``low`` to ``high`` is what ``kind`` says, e.g. "10th to 90th percentile"."""

    constant: str
    low: float
    high: float
    kind: str


@dataclass(frozen=True)
class Law:
    """A published law. ``parameters`` says what its N counts: "all", "non-embedding", or "active" ones but embeddings.

    ``compute_min`` and ``compute_max`` bound the budgets it was fitted to; ``printed`` holds the constants as the paper rounds
    them, where those used here are finer.
    """

    name: str
    title: str
    constants: Constants
    compute_min: float
    compute_max: float
    source: str
    parameters: Literal["all", "non-embedding", "active"] = "all"
    printed: Parametric | None = None
    repetition: Repetition | None = None
    uncertainty: tuple[Spread, ...] = ()
    range_note: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        """Its name in :data:`FORMS`."""
        return next(name for name, kind in FORMS.items() if isinstance(self.constants, kind))

    @property
    def exponent(self) -> float:
        """a of N_opt ~ C^a: stated, or beta / (alpha + beta) (Hoffmann et al. 2022, arXiv:2203.15556, eq. 4).

        For "fine-grained" the same at one granularity and free routing.
        """
        return _exponent(self.constants)

    @property
    def exponent_spread(self) -> Spread | None:
        """How well that exponent is known, where the source says so."""
        return next((spread for spread in self.uncertainty if spread.constant in ("a", "exponent")), None)


FORMS: dict[str, Any] = {"power": Power, "parametric": Parametric, "fine-grained": FineGrained}
_KEYS = ["name", "title", "form", "constants", "printed", "repetition", "uncertainty", "parameters", "range", "source", "notes"]
_COUNTS = ["all", "non-embedding", "active"]


def law(data: Mapping[str, Any]) -> Law:
    """A :class:`Law` from plain data, the shape of presets/laws/*.yaml.

    Keys: name, form ("power" | "parametric" | "fine-grained"), constants, range {compute: [least, most], note}, source;
    optional title, parameters ("all" | "non-embedding" | "active"), printed, repetition {tokens, params}, notes, and
    uncertainty {kind, <constant>: ± or [low, high]}. ``a`` in the uncertainty is the exponent of N_opt.

    Raises InputError, field = the key's path, for an unknown or missing key, a number that is not one, or one outside its
    domain: A, B, alpha, beta, coefficient, compute > 0; E >= 0; 0 < exponent < 1; range least < most.

    >>> law({"name": "mine", "form": "power", "source": "me", "range": {"compute": [1e18, 1e21]},
    ...      "constants": {"coefficient": 1e9, "compute": 1e20, "exponent": 0.5}}).form
    'power'
    """
    _known(data, "key of a law", _KEYS)
    name = _text(data, "name")
    form = _text(data, "form")
    if form not in FORMS:
        raise unknown_name("form of a law", form, list(FORMS), field="form")
    constants = _constants(form, data.get("constants"), "constants")
    spans = _mapping(data.get("range"), "range")
    least, most = _interval(spans.get("compute"), "range.compute")
    parameters = data.get("parameters", "all")
    if parameters not in _COUNTS:
        raise unknown_name("parameters", str(parameters), _COUNTS, field="parameters")
    notes = data.get("notes", ())
    if isinstance(notes, str) or not all(isinstance(note, str) for note in notes):
        raise InputError(f"notes of {name} must be a list of sentences", field="notes")
    worn = data.get("repetition")
    if worn is not None and form != "parametric":
        raise InputError("repetition belongs to a parametric law", field="repetition", allowed="form: parametric")
    printed = None if data.get("printed") is None else _constants("parametric", data["printed"], "printed")
    return Law(
        name=name,
        title=_text(data, "title") if "title" in data else name,
        constants=constants,
        compute_min=least,
        compute_max=most,
        source=_text(data, "source"),
        parameters=parameters,
        printed=printed,
        repetition=None if worn is None else _repetition(worn),
        uncertainty=_spreads(constants, data.get("uncertainty")),
        range_note=_text(spans, "note") if "note" in spans else None,
        notes=tuple(notes),
    )


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        problem = "is missing" if value is None else f"is {value!r}, but must be text"
        raise InputError(f"{key} of the law {problem}", field=key)
    return value


def _known(given: Mapping[str, Any], what: str, names: Sequence[str], path: str = "") -> None:
    """Refuse the first key that is not among ``names``."""
    for key in given:
        if key not in names:
            raise unknown_name(what, str(key), list(names), field=f"{path}{key}")


def _mapping(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{field} of the law must be a mapping of names to numbers", field=field)
    return value


def number(value: Any, field: str, low: float = 0.0, high: float = LARGEST, closed: bool = False) -> float:
    """A number in (low, high), or with ``closed`` [low, high)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{field} is {value!r}, but must be a number", field=field, value=str(value))
    if not ((low <= value if closed else low < value) and value < high):
        allowed = f"{'at least' if closed else 'above'} {low:g} and below {high:g}"
        raise InputError(f"{field} is {value}, but must be {allowed}", field=field, value=str(value), allowed=allowed)
    return float(value)


def _repetition(data: Any) -> Repetition:
    given = _mapping(data, "repetition")
    _known(given, "constant of repetition", Repetition._fields, "repetition.")
    return Repetition(*(number(given.get(key), f"repetition.{key}") for key in Repetition._fields))


def _constants(form: str, data: Any, field: str) -> Any:
    given = _mapping(data, field)
    kind = FORMS[form]
    names = [item.name for item in fields(kind)]
    _known(given, f"constant of a {form} law", names, f"{field}.")
    values = {}
    for key in names:
        if key not in given:
            raise InputError(f"{field}.{key} is missing; a {form} law needs {', '.join(names)}", field=f"{field}.{key}")
        high = 1.0 if key == "exponent" else LARGEST
        values[key] = number(given[key], f"{field}.{key}", high=high, closed=key == "E")
    return kind(**values)


def _interval(value: Any, field: str, point: bool = False) -> tuple[float, float]:
    """Two positive numbers, the first the smaller; with ``point`` they may be 0, and the same: a constant that never varied."""
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence) or len(value) != 2:
        raise InputError(f"{field} must be two numbers, the least and the most", field=field)
    low, high = (number(end, field, closed=point) for end in value)
    if low > high or (low == high and not point):
        raise InputError(f"{field} is [{low:g}, {high:g}], but the first must be the smaller", field=field)
    return low, high


def _spreads(constants: Constants, data: Any) -> tuple[Spread, ...]:
    if data is None:
        return ()
    given = _mapping(data, "uncertainty")
    kind = _text(given, "kind")
    centres = {item.name: float(getattr(constants, item.name)) for item in fields(constants)}
    centres["a"] = _exponent(constants)
    spreads = {key: value for key, value in given.items() if key != "kind"}
    _known(spreads, "constant of the law", list(centres), "uncertainty.")

    def spread(key: str, value: Any) -> Spread:
        if isinstance(value, (list, tuple)):
            return Spread(key, *_interval(value, f"uncertainty.{key}", point=True), kind)
        half = number(value, f"uncertainty.{key}")
        return Spread(key, centres[key] - half, centres[key] + half, kind)

    return tuple(spread(key, value) for key, value in spreads.items())


def _exponent(constants: Constants) -> float:
    if isinstance(constants, Power):
        return constants.exponent
    return constants.beta / (constants.alpha + constants.beta)


def as_data(found: Law) -> dict[str, Any]:
    """A law as the mapping that :func:`law` reads: what a law file holds."""
    uncertain = {spread.constant: [spread.low, spread.high] for spread in found.uncertainty}
    data: dict[str, Any] = {"name": found.name, "title": found.title, "form": found.form}
    data["constants"] = {item.name: getattr(found.constants, item.name) for item in fields(found.constants)}
    if found.repetition is not None:
        data["repetition"] = found.repetition._asdict()
    if uncertain:
        data["uncertainty"] = {"kind": found.uncertainty[0].kind, **uncertain}
    spans: dict[str, Any] = {"compute": [found.compute_min, found.compute_max]}
    if found.range_note is not None:
        spans["note"] = found.range_note
    data |= {"parameters": found.parameters, "range": spans, "source": found.source}
    return data | ({"notes": list(found.notes)} if found.notes else {})
