"""How a release stores its weights, as its files say: a format, what it leaves alone, and what is in another one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageGroup:
    """Modules in a format of their own, by their names or patterns of them."""

    format: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class StorageType:
    """The tensors of one type in a file, by its header."""

    type: str
    elements: int
    bytes: int


@dataclass(frozen=True)
class Storage:
    """``format`` is that of the matrices inside the layers, as --dtype names it (fp8_block, nvfp4, int:bits=4,group=32; a plain
    dtype where nothing is quantised); ``plain`` that of everything else. ``keep`` names modules that are left in ``plain``,
    ``groups`` those in other formats; the names are the files' own: a part of a module's, with wildcards, "=" and a whole one,
    or "re:" and an expression.
    ``tables``: the token table, the head and routers are quantised too. ``cache`` is the format of the KV cache that the files
    ask for. ``unsized`` says why the bytes are not known, where they are not. ``total`` are the bytes of all tensors, where an
    index of the files states them. ``tensors`` is what the header of a GGUF file lists, of a model of ``counted`` parameters.
    """

    format: str
    plain: str = "bf16"
    keep: tuple[str, ...] = ()
    groups: tuple[StorageGroup, ...] = ()
    tables: bool = False
    cache: str | None = None
    unsized: str | None = None
    total: int | None = None
    tensors: tuple[StorageType, ...] = ()
    counted: int | None = None

    @property
    def quantised(self) -> bool:
        """Whether anything is in another format than the rest, in layouts that are known."""
        return self.unsized is None and any(form != self.plain for form in self.formats)

    @property
    def name(self) -> str:
        """In short, the formats of what is quantised: nvfp4, fp8_tensor+nvfp4; else the plain one."""
        return "+".join(form for form in self.formats if form != self.plain) or self.plain

    @property
    def formats(self) -> tuple[str, ...]:
        """Every format, the main one first."""
        return tuple(dict.fromkeys((self.format, *(group.format for group in self.groups))))
