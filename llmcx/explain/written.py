"""Numbers that remember how they were computed: a formula is run once more on them, and then says itself what it did.

So what --explain prints of a rule, in symbols and with the numbers put in, is the rule and not a second text of it. Only what
applies is written: a term that is 0 and a factor that is a plain 1 are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from operator import add, mul, sub, truediv
from typing import Any

from llmcx.ops.op import Op

SUM, PRODUCT, ATOM = range(3)
"""How tightly a text holds together."""


class Written:
    """What whole and broken numbers share: ``symbols`` and ``numbers`` say how it came about; a negative one knows what it is
    the ``opposite`` of, so that -(-a // b) reads as what it means.
    """

    symbols: str
    numbers: str
    binds: int
    opposite: Any = None

    def __add__(self, other: Any) -> Any:
        return _joined(add, " + ", SUM, self, other)

    def __radd__(self, other: Any) -> Any:
        return _joined(add, " + ", SUM, other, self)

    def __sub__(self, other: Any) -> Any:
        return _joined(sub, " - ", SUM, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _joined(sub, " - ", SUM, other, self)

    def __mul__(self, other: Any) -> Any:
        return _joined(mul, "·", PRODUCT, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _joined(mul, "·", PRODUCT, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _joined(truediv, " / ", PRODUCT, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _joined(truediv, " / ", PRODUCT, other, self)

    def __pow__(self, other: Any) -> Any:
        (a, x, ahead), (b, y, behind) = _parts(self), _parts(other)
        symbols, numbers = (f"{_held(p, ahead, ATOM)}^{_held(q, behind, ATOM)}" for p, q in ((a, b), (x, y)))
        return written(plain(self) ** plain(other), symbols, numbers, PRODUCT)

    def __floordiv__(self, other: Any) -> Any:
        return _divided(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _divided(other, self)

    def __neg__(self) -> Any:
        if self.opposite is not None:
            return self.opposite
        symbols, numbers = (f"-{_held(each, self.binds, ATOM)}" for each in (self.symbols, self.numbers))
        made = written(-plain(self), symbols, numbers)
        made.opposite = self
        return made

    def __floor__(self) -> Any:
        return _named("floor", floor(plain(self)), self)

    def __round__(self, digits: int | None = None) -> Any:
        return _named("round", round(plain(self), digits), self)


class Whole(Written, int):  # type: ignore[misc]
    """A whole number."""


class Broken(Written, float):  # type: ignore[misc]
    """Any other."""


def plain(value: Any) -> Any:
    """Without its history.

    >>> type(plain(written(3, "n"))) is int
    True
    """
    return int(value) if isinstance(value, Whole) else float(value) if isinstance(value, Broken) else value


def text(value: float) -> str:
    """As it is put into a formula: whole numbers in full, others in six digits.

    >>> text(65536), text(0.1), text(989400000000000.0)
    ('65,536', '0.1', '9.894e+14')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def written(value: float, symbols: str = "", numbers: str = "", binds: int = ATOM) -> Any:
    """A number under a name: what is computed from it will say how.

    >>> n, d = written(10, "n"), written(4, "d")
    >>> both = 2 * n * (d + 1) + 0 * d
    >>> both, both.symbols, both.numbers
    (100, '2·n·(d + 1)', '2·10·(4 + 1)')
    >>> share = -(-n // d)
    >>> share, share.symbols, share.numbers
    (3, 'ceil(n / d)', 'ceil(10 / 4)')
    """
    made = Whole(value) if isinstance(value, int) else Broken(value)
    made.numbers = numbers or text(value)
    made.symbols, made.binds = symbols or made.numbers, binds
    return made


def told(value: float) -> tuple[str, str]:
    """The formula and the numbers put in; of a number that nobody computed, itself."""
    return (value.symbols, value.numbers) if isinstance(value, Written) else (text(value), text(value))


def named(op: Op) -> Op:
    """An op whose shapes remember their names, so that a fold's rule says what it does with them.

    >>> from llmcx.costs.flops import fold
    >>> told(fold.of(named(Op("q", "linear", {"tokens": 8, "d_in": 4, "d_out": 2, "bias": 0, "tied": 0}, 32))))
    ('layers·2·tokens·d_in·d_out', '32·2·8·4·2')
    """
    several = {name: written(n, name) for name, n in (("copies", op.copies), ("used", op.used)) if n > 1}
    if op.role == "expert":
        several = {key: written(n, {"copies": "experts", "used": "top_k"}[key]) for key, n in several.items()}
    times: Any = op.times if op.times == 1 else written(op.times, "layers")
    dims = {name: written(value, name) for name, value in op.dims.items()}
    return op._replace(times=times, dims=dims, **several)


def _held(words: str, binds: int, least: int) -> str:
    return words if binds >= least else f"({words})"


def _parts(value: Any) -> tuple[str, str, int]:
    if isinstance(value, Written):
        return value.symbols, value.numbers, value.binds
    return text(value), text(value), ATOM


def _joined(apply: Callable[[Any, Any], Any], sign: str, binds: int, left: Any, right: Any) -> Any:
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        return NotImplemented
    value = apply(plain(left), plain(right))
    if sign == " + " and not left:
        return right
    if sign in (" + ", " - ") and not right:
        return left
    if not value and sign != " - ":
        return value
    if sign != " - " and sign != " + ":
        if type(right) in (int, float) and right == 1:
            return left
        if sign == "·" and type(left) in (int, float) and left == 1:
            return right
    (a, x, ahead), (b, y, behind) = _parts(left), _parts(right)
    after = binds + (sign in (" - ", " / "))
    return written(
        value,
        _held(a, ahead, binds) + sign + _held(b, behind, after),
        _held(x, ahead, binds) + sign + _held(y, behind, after),
        binds,
    )


def _divided(left: Any, right: Any) -> Any:
    """Whole division, downward; of a negative number, which is how code rounds upward."""
    value = plain(left) // plain(right)
    if type(right) is int and right == 1:
        return left
    if type(left) is int and left < 0:
        left = -written(-left)
    upward = isinstance(left, Written) and left.opposite is not None
    (a, x, ahead), (b, y, behind) = _parts(left.opposite if upward else left), _parts(right)
    symbols, numbers = (
        f"{'ceil' if upward else 'floor'}({_held(one, ahead, PRODUCT)} / {_held(other, behind, ATOM)})"
        for one, other in ((a, b), (x, y))
    )
    if not upward:
        return written(value, symbols, numbers)
    made = written(value, f"-{symbols}", f"-{numbers}")
    made.opposite = written(-value, symbols, numbers)
    return made


def _named(function: str, value: Any, of: Written) -> Any:
    return written(value, f"{function}({of.symbols})", f"{function}({of.numbers})")
