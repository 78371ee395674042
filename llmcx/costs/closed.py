"""What a fold sums up over the ops of a run, as a closed form in the run's numbers: its batch and its lengths.

Such a sum is a polynomial, piece by piece: a window is reached or it is not, a last chunk is whole or padded. A model is lowered
once with symbols in place of the numbers. The parts and the folds are the same code; what they compare while they run bounds the
piece. So an evaluation is exact, and costs a polynomial instead of a lowering.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from llmcx.costs.work import Dependent
from llmcx.model.lower import Run, lower
from llmcx.model.spec import ModelSpec
from llmcx.ops.op import Op

SYMBOLS = ("batch", "seq", "past", "source")
LEAST = (1, 1, 0, 1)
"""What each of them is at least; a run below is never looked up."""
FORMS = 256
"""Sums of one piece that are remembered."""

Term = tuple[int, ...]
"""A product of atoms: their numbers, sorted, repeated for a power. The first ones are SYMBOLS, the others quotients."""


class NotClosed(TypeError):
    """An operation that leaves the polynomials."""


class Trace:
    """The atoms and the comparisons of one lowering with symbols."""

    def __init__(self) -> None:
        self.code = list(SYMBOLS)
        self.least: list[int | None] = list(LEAST)
        self.made: dict[str, int] = {}  # a quotient's code -> its atom
        self.before: list[str] = []  # assignments, in order
        self.guards: dict[str, None] = {}

    def quotient(self, over: Number, under: Number) -> Number:
        """The atom of floor(over / under)."""
        code = f"({over.text()})//({under.text()})"
        atom = self.made.get(code)
        if atom is None:
            atom = self.made[code] = len(self.code)
            self.code.append(f"q{atom}")
            self.least.append(0 if over.sign() in (0, 1) and under.sign() == 1 else None)
            self.before.append(f"q{atom} = {code}")
        return Number(self, {(atom,): 1}, over.value // under.value)


class Number:
    """An integer of a traced run: a polynomial over the atoms, and its value in the run that is traced."""

    __slots__ = ("form", "trace", "value")

    def __init__(self, trace: Trace, form: dict[Term, int], value: int) -> None:
        self.trace = trace
        self.form = form
        self.value = value

    def text(self) -> str:
        """As Python code."""
        terms = []
        for term, factor in self.form.items():
            atoms = "*".join(self.trace.code[atom] for atom in term)
            terms.append(atoms if factor == 1 and atoms else f"{factor}*{atoms}" if atoms else str(factor))
        return "+".join(terms) or "0"

    def _known(self) -> int | None:
        return self.form.get((), 0) if all(term == () for term in self.form) else None

    def sign(self) -> int | None:
        """1 if it is above 0 in every run, 0 if it is at least 0, None if that depends."""
        least = 0
        for term, factor in self.form.items():
            for atom in term:
                bound = self.trace.least[atom]
                if bound is None or factor < 0:
                    return None
                factor *= bound
            least += factor
        return 1 if least > 0 else 0 if least == 0 else None

    def _guard(self, holds: bool, relation: str, otherwise: str) -> bool:
        self.trace.guards[f"{self.text()} {relation if holds else otherwise} 0"] = None
        return holds

    def _same(self, other: Any) -> Number:
        if isinstance(other, Number):
            return other
        if not isinstance(other, int):
            raise NotClosed(type(other).__name__)
        return Number(self.trace, {(): int(other)} if other else {}, int(other))

    def __add__(self, other: Any) -> Number:
        other = self._same(other)
        form = dict(self.form)
        for term, factor in other.form.items():
            total = form.pop(term, 0) + factor
            if total:
                form[term] = total
        return Number(self.trace, form, self.value + other.value)

    __radd__ = __add__

    def __neg__(self) -> Number:
        return Number(self.trace, {term: -factor for term, factor in self.form.items()}, -self.value)

    def __sub__(self, other: Any) -> Number:
        return self + -self._same(other)

    def __rsub__(self, other: Any) -> Number:
        return self._same(other) + -self

    def __mul__(self, other: Any) -> Number:
        other = self._same(other)
        form: dict[Term, int] = {}
        for left, a in self.form.items():
            for right, b in other.form.items():
                term = tuple(sorted(left + right))
                total = form.pop(term, 0) + a * b
                if total:
                    form[term] = total
        return Number(self.trace, form, self.value * other.value)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Number:
        under = self._same(other)
        by, known = under._known(), self._known()
        if by and known is not None:
            return self._same(known // by)
        if by and not any(factor % by for factor in self.form.values()):
            return Number(self.trace, {term: factor // by for term, factor in self.form.items()}, self.value // by)
        if under.sign() != 1:
            raise NotClosed("a divisor that may be 0")
        return self.trace.quotient(self, under)

    def __rfloordiv__(self, other: Any) -> Number:
        over: Number = self._same(other) // self
        return over

    def __mod__(self, other: Any) -> Number:
        whole: Number = self // other
        return self - whole * self._same(other)

    def __rmod__(self, other: Any) -> Number:
        return self._same(other).__mod__(self)

    def __divmod__(self, other: Any) -> tuple[Number, Number]:
        return self // other, self % other

    def __pow__(self, power: int) -> Number:
        out = self._same(1)
        for _ in range(power):
            out = out * self
        return out

    def __bool__(self) -> bool:
        known = self._known()
        if known is not None:
            return known != 0
        if self.sign() == 1:
            return True
        return self._guard(self.value != 0, "!=", "==")

    def __lt__(self, other: Any) -> bool:
        more = self._same(other) - self
        if more.sign() == 1:
            return True
        if (-more).sign() is not None:
            return False
        return more._guard(more.value > 0, ">", "<=")

    def __gt__(self, other: Any) -> bool:
        return self._same(other) < self

    def __le__(self, other: Any) -> bool:
        return not self._same(other) < self

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (int, Number)) and not self - other

    __hash__ = None  # type: ignore[assignment]

    def _no(self, *of: Any) -> NoReturn:
        raise NotClosed("a polynomial has no such form")

    __str__ = __format__ = __truediv__ = __rtruediv__ = __int__ = __index__ = __float__ = _no


class Piece:
    """One lowering with symbols, and the runs for which it holds."""

    def __init__(self, spec: ModelSpec, run: Run) -> None:
        self.trace = Trace()
        numbers = (run.batch, run.seq, run.past, run.source)
        symbols = {
            name: Number(self.trace, {(atom,): 1}, value)
            for atom, (name, value) in enumerate(zip(SYMBOLS, numbers, strict=True))
            if value is not None
        }
        self.run = run._replace(**symbols)  # type: ignore[arg-type]
        self.ops = lower(spec, self.run)
        self.holds: Callable[..., bool] = self._compiled(" and ".join(self.trace.guards) or "True")
        self.forms: dict[Any, Callable[..., Any] | None] = {}

    def _compiled(self, code: str, holding: str = "True") -> Callable[..., Any]:
        lines = [*self.trace.before, f"if {holding}: return {code}"]
        made: dict[str, Any] = {}
        exec("def form(batch, seq, past, source):\n " + "\n ".join(lines), {}, made)
        form: Callable[..., Any] = made["form"]
        return form

    def form(self, sums: Callable[[list[Op]], Any] | Dependent) -> Callable[..., Any] | None:
        """``sums`` over this piece's ops as a function of the run, which returns None where ``sums`` itself would compare
        otherwise; None if there is no such function.
        """
        if sums not in self.forms:
            if len(self.forms) == FORMS:
                self.forms.clear()
            self.trace.guards = {}
            try:
                code = _code(sums.of(self.run, self.ops) if isinstance(sums, Dependent) else sums(self.ops))
                self.forms[sums] = self._compiled(code, " and ".join(self.trace.guards) or "True")
            except NotClosed:
                self.forms[sums] = None
        return self.forms[sums]


def _code(value: Any) -> str:
    """A result as Python code: numbers and symbols, in tuples and dicts."""
    if isinstance(value, Number):
        return value.text()
    if isinstance(value, tuple):
        return "(" + "".join(f"{_code(item)}," for item in value) + ")"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name!r}:{_code(item)}" for name, item in value.items()) + "}"
    if value is None or isinstance(value, (int, str)):
        return repr(value)
    raise NotClosed(type(value).__name__)
