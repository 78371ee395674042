"""Frozen dataclasses that cost next to nothing at start-up.

`dataclasses.dataclass` writes seven methods for every class and compiles them: half a millisecond a class, where a command
defines some forty. Here all classes share seven methods that read the fields. Type checkers, `fields`, `replace`, `asdict`,
copy, pickle and pydantic see the dataclasses that these are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    from dataclasses import MISSING, FrozenInstanceError, fields
    from dataclasses import dataclass as described
    from operator import attrgetter

    def dataclass(*, frozen):
        """`@dataclass(frozen=True)` for plain fields, default factories included."""
        assert frozen
        return _made

    def _made(cls):
        cls = described(init=False, repr=False, eq=False)(cls)
        known = fields(cls)
        cls.__record__ = (
            {f.name: f.default for f in known},
            frozenset(f.name for f in known if f.default is f.default_factory is MISSING),
            [(f.name, f.default_factory) for f in known if f.default_factory is not MISSING],
            hasattr(cls, "__post_init__"),
        )
        cls.__values__ = attrgetter(*(f.name for f in known)) if known else tuple
        for name, method in _METHODS.items():
            if name not in vars(cls):
                setattr(cls, name, method)
        return cls

    def _init(self, *args, **given):
        names, required, made, checked = self.__record__
        values = self.__dict__
        if given or len(args) != len(names):
            values.update(names)  # in the order of the fields
            if args:
                stated = dict(zip(names, args))  # noqa: B905 (counted below)
                if len(stated) < len(args) or not stated.keys().isdisjoint(given):
                    raise TypeError(f"{type(self).__name__}() takes each of {', '.join(names)} once")
                given |= stated
            values.update(given)
            if len(values) > len(names):
                wrong = next(name for name in given if name not in names)
                raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {wrong!r}")
            if not required <= given.keys():
                missing = next(name for name in names if name in required - given.keys())
                raise TypeError(f"{type(self).__name__}() missing required argument {missing!r}")
            for name, make in made:
                if name not in given:
                    values[name] = make()
        else:
            values.update(zip(names, args))  # noqa: B905 (as many of both)
        if checked:
            self.__post_init__()

    def _repr(self):
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__record__[0])})"

    def _eq(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        values = type(self).__values__
        return values(self) == values(other)

    def _hash(self):
        return hash(type(self).__values__(self))

    def _setattr(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _delattr(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    class _Signature:
        """The constructor's signature, for `help`; made when it is looked at."""

        def __get__(self, instance, cls):
            from inspect import Parameter, Signature

            def parameter(f):
                default = Parameter.empty if f.default is MISSING else f.default
                if f.default_factory is not MISSING:
                    default = _FACTORY
                return Parameter(f.name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=f.type)

            return Signature([parameter(f) for f in fields(cls)])

    class _Factory:
        def __repr__(self):
            return "<factory>"

    _FACTORY = _Factory()
    _METHODS = {
        "__init__": _init,
        "__repr__": _repr,
        "__eq__": _eq,
        "__hash__": _hash,
        "__setattr__": _setattr,
        "__delattr__": _delattr,
        "__signature__": _Signature(),
    }
