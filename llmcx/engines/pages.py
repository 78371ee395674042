"""Pages that layers of every kind share, as vLLM's hybrid cache manager lays them out (vllm/v1/core/kv_cache_utils.py, 0.32).

A page holds a layer's cache of one block of tokens, or one recurrent state. Layers of one kind form groups; a request has a table
of blocks per group, and a block is a page of each layer of the widest group. All blocks come out of one pool.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.errors import InputError
from llmcx.parallel.layout import cut

FULL, WINDOW, CHUNKS, STATE, CROSS = "full attention", "window", "chunks", "state", "cross-attention"


class Page(NamedTuple):
    """A page of each of ``layers`` layers: its ``size`` in bytes, ``block`` tokens (of a state none), and what it is: ``kind``,
    tokens of a window or chunk, pages that a request has of a state. ``latent``: it can not be padded.
    """

    kind: str
    layers: int
    size: int
    block: int = 0
    span: int = 0
    latent: bool = False

    def blocks(self, length: int, in_flight: int, source: int) -> int:
        """Pages of a layer for a request of ``length`` tokens, with so many in steps that are under way.

        A window need not begin with a block, so it has one more than its tokens fill.

        >>> full, window = Page(FULL, 1, 1, 16), Page(WINDOW, 1, 1, 16, span=128)
        >>> full.blocks(4096, 1024, 0), window.blocks(4096, 1024, 0)
        (256, 73)
        """
        if self.kind == STATE:
            return self.span
        if self.kind == WINDOW:
            return cut(min(self.span - 1 + in_flight, length), self.block) + 1
        if self.kind == CHUNKS:
            length = min(self.span + in_flight, length)
        return cut(source if self.kind == CROSS else length, self.block)


class Group(NamedTuple):
    """Layers that share a table of blocks."""

    pages: tuple[Page, ...]

    @property
    def layers(self) -> int:
        return sum(page.layers for page in self.pages)

    @property
    def size(self) -> int:
        """Bytes of a block: a page of each layer."""
        return sum(page.layers * page.size for page in self.pages)


class Layout(NamedTuple):
    """Groups, and the bytes that a block takes of the pool: the widest group's."""

    groups: tuple[Group, ...]

    @property
    def block_bytes(self) -> int:
        return max((group.size for group in self.groups), default=0)

    def blocks(self, length: int, in_flight: int, source: int = 0) -> int:
        """Blocks that a request of ``length`` tokens has, of all groups."""
        return sum(max(page.blocks(length, in_flight, source) for page in group.pages) for group in self.groups)


def lay_out(pages: list[Page], *, equalised: bool = True, widest: bool = True) -> Layout:
    """Groups of equal pages: one where all layers need as many blocks, else as many layers in each as the rarest kind has (or,
    ``widest``, as the commonest, where it has not half as many again). ``equalised``: pages of unequal size are made equal.

    Raises InputError for pages that can not be made equal.

    >>> layout = lay_out([Page(FULL, 2, 64, 16), Page(WINDOW, 5, 64, 16, span=8)])
    >>> [group.layers for group in layout.groups], layout.block_bytes
    ([2, 2, 2, 1], 128)
    """
    kinds = {(page.kind, page.block, page.span) for page in pages}
    alike = len({(kind, span, block) for kind, block, span in kinds}) <= 1
    if alike and (len({page.size for page in pages}) <= 1 or pages[0].kind != STATE):
        return Layout((Group(tuple(pages)),) if pages else ())
    if not equalised and len({page.size for page in pages}) > 1:
        sizes = " and ".join(f"{size:,} B" for size in sorted({page.size for page in pages}))
        raise InputError(
            f"this version of vLLM refuses layers with pages of {sizes}; give --engine vllm@0.12 or later", field="engine"
        )
    counts: dict[Page, int] = {}
    for page in equal(pages):
        counts[page._replace(layers=0)] = counts.get(page._replace(layers=0), 0) + page.layers
    fewest, most = min(counts.values()), max(counts.values())
    each = most if widest and most < 1.5 * fewest else fewest
    groups = []
    for page, layers in counts.items():
        many = cut(layers, each)
        groups += [Group((page._replace(layers=cut(layers - i, many)),)) for i in range(many)]
    return Layout(tuple(groups))


def equal(pages: list[Page]) -> list[Page]:
    """Pages of one size, the largest: with more tokens in a block where that divides, else padded."""
    size = max(page.size for page in pages)
    found = []
    for page in pages:
        if page.size == size:
            found.append(page)
        elif page.kind != STATE and size % page.size == 0:
            found.append(page._replace(size=size, block=page.block * (size // page.size)))
        elif page.latent:
            raise InputError(f"vLLM has no common page for latents of {page.size:,} B and pages of {size:,} B", field="engine")
        else:
            found.append(page._replace(size=size))
    return found
