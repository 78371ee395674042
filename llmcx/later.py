"""Answers whose fields are computed when they are first read, and what is remembered about a spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from llmcx.model.spec import ModelSpec

T = TypeVar("T")
Made = TypeVar("Made", bound="Later")


class Later:
    """A frozen dataclass that may be made of a source in place of its fields.

    The source has a method for each field left out, and is asked once, when the field is first read. So an answer costs what is
    read of it; its fields, their order, their types, equality and JSON are those of the dataclass. Inputs are to be checked
    before: reading a field refuses nothing.
    """

    @classmethod
    def later(cls: type[Made], source: Any, **known: Any) -> Made:
        """One with the fields in ``known``, and the others from methods of ``source`` that are named as they are."""
        made = object.__new__(cls)
        made.__dict__.update(known, _source=source)
        return made

    if not TYPE_CHECKING:  # or every misspelt field would pass for one of these

        def __getattr__(self, name: str) -> Any:
            source = self.__dict__.get("_source")
            if source is None or name not in type(self).__dataclass_fields__:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            value = self.__dict__[name] = getattr(source, name)()
            return value

    def __reduce__(self) -> Any:
        return type(self), tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]


def once(spec: ModelSpec, key: Any, make: Callable[[], T]) -> T:
    """What ``make`` returns for ``spec``, made once. It lives as long as the spec, which is frozen."""
    known: dict[Any, Any] = spec.__dict__.setdefault("_found", {})
    try:
        found: T = known[key]
    except KeyError:
        found = known[key] = make()
    return found
