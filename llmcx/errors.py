"""The one way in which llmcx says no."""

from __future__ import annotations

from typing import Any


class InputError(ValueError):
    """A bad input, said in one sentence.

    ``field`` names the option or key as JSON and Python do (``kv_dtype``), ``value`` is what was given, ``allowed`` what would
    do, and ``nearest`` the valid names closest to a misspelt one. A front end may show the sentence or the fields.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        value: Any = None,
        allowed: str | None = None,
        nearest: list[str] | None = None,
    ) -> None:
        # One line, whatever a file or a terminal put into it.
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        super().__init__(message)
        self.message = message
        self.field = field and field.lstrip("-").replace("-", "_")  # one spelling: that of JSON and of Python
        self.value = value
        self.allowed = allowed
        self.nearest = nearest or []

    def as_dict(self) -> dict[str, Any]:
        """The fields that are set, for a machine."""
        names = ("message", "field", "value", "allowed", "nearest")
        return {name: getattr(self, name) for name in names if getattr(self, name) not in (None, [])}


class Unreachable(InputError):
    """What would have to be fetched, and cannot be: no network, or nothing that fetches is installed."""


def shown(value: Any) -> str:
    """A value as it stands in a message: its repr, cut where it gets long.

    >>> shown("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    if isinstance(value, int) and value.bit_length() > 10_000:
        return f"a number of {value.bit_length():,} bits"  # Python refuses to print it
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def unknown_name(what: str, value: Any, valid: list[str], *, field: str | None = None, listed: str | None = None) -> InputError:
    """The refusal of a name that is not in ``valid``, with the nearest ones that are; where none is near, the first few, or the
    command that has ``listed`` them all.
    """
    from difflib import get_close_matches

    text = str(value)
    near = get_close_matches(text.lower(), valid, n=3, cutoff=0.5) if len(text) < 200 else []
    known = f"known: {', '.join(sorted(valid)[:12])}" if listed is None else f"`llmcx {listed}` lists those that are"
    hint = f"did you mean {' or '.join(near)}?" if near else known
    return InputError(f"{what} {shown(value)} is not known; {hint}", field=field, value=text[:200], nearest=near)


# Far above any real model, low enough that a slip of the keyboard is refused instead of answered.
LARGEST = 10**15


def check_size(name: str, value: int | None, least: int = 1) -> None:
    """Raise unless ``value`` is an integer in [least, 10^15] (or None, for "follows from the others")."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} is {shown(value)}, but must be a whole number", field=name, value=shown(value))
    if not least <= value <= LARGEST:
        allowed = f"between {least} and 10^15"
        raise InputError(f"{name} is {shown(value)}, but must be {allowed}", field=name, value=shown(value), allowed=allowed)


def check_sizes(part: Any, *names: str, least: int = 1) -> None:
    """:func:`check_size` for several fields of one part."""
    for name in names:
        check_size(name, getattr(part, name), least)
