"""ggml's graphs, and the buffer that its allocator reserves for one (ggml/src/ggml.c and ggml-alloc.c of ggml-org/llama.cpp).

Tensors are made freely and enter a graph when something is expanded, sources first. The allocator goes through the graph in that
order: a result takes its source's place where the operation can and nobody else reads that, else the tightest free block; a
block is free again after its last reader.
"""

from __future__ import annotations

from math import prod

ALIGN = 32
"""Bytes in whose multiples a buffer on a CPU is divided."""


class Tensor:
    """A result of ``item`` bytes an element. ``root`` is the tensor of which it is a view, ``over``: it may take a source's
    place. Weights and caches are no tensors here; what reads only those has no sources, and a view of them no bytes.
    """

    __slots__ = ("alive", "at", "item", "over", "readers", "root", "shape", "sources", "views", "whole")

    def __init__(
        self, shape: tuple[int, ...], sources: tuple[Tensor, ...], item: int, over: bool, root: Tensor | None, whole: bool
    ):
        self.shape, self.sources, self.item, self.over, self.root, self.whole = shape, sources, item, over, root, whole
        self.readers = self.views = self.at = 0
        self.alive = False

    @property
    def bytes(self) -> int:
        """As they are taken from the buffer."""
        return -(-prod(self.shape) * self.item // ALIGN) * ALIGN


class Graph:
    """Inputs and operations in the order in which they were expanded; ``outputs`` are never freed."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.nodes: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self._seen: set[int] = set()

    def input(self, *shape: int, item: int = 4) -> Tensor:
        """What is written before the graph runs."""
        return Tensor(shape, (), item, False, None, True)

    def op(self, shape: tuple[int, ...], *sources: Tensor, over: bool = False, item: int = 4) -> Tensor:
        """What an operation makes of its sources; with ``over`` perhaps in the place of one of the same shape."""
        return Tensor(shape, sources, item, over, None, True)

    def view(self, of: Tensor, *shape: int, whole: bool = True) -> Tensor:
        """The same bytes in another shape; not ``whole``: a part, or in another order."""
        return Tensor(shape, (of,), of.item, False, of.root or of, whole and of.whole)

    def stored(self, *sources: Tensor) -> Tensor:
        """Rows written into a cache: a view of what lies elsewhere."""
        return Tensor((0,), sources, 4, False, None, False)

    def expand(self, *tensors: Tensor) -> None:
        """Put each into the graph, after its sources."""
        for tensor in tensors:
            if id(tensor) in self._seen:
                continue
            self._seen.add(id(tensor))
            self.expand(*tensor.sources)
            (self.nodes if tensor.sources else self.inputs).append(tensor)

    def reserved(self) -> int:
        """Bytes of the buffer."""
        buffer = Buffer()
        for tensor in self.inputs:
            buffer.place(tensor)
        for node in self.nodes:
            if node.root is not None:
                node.root.views += 1
            for source in node.sources:
                source.readers += 1
        kept = {id(tensor) for tensor in self.outputs}
        for node in self.nodes:
            if node.root is None:
                buffer.place(node)
            for source in node.sources:
                source.readers -= 1
                if source.readers or source.views:
                    continue
                held = source
                if source.root is not None:
                    held = source.root
                    held.views -= 1
                if not held.views and not held.readers and held.alive and id(held) not in kept:
                    buffer.free(held.at, held.bytes)
                    held.alive = False
        return buffer.most


class Buffer:
    """Free blocks by offset; the last one has no end."""

    def __init__(self) -> None:
        self.free_blocks: list[list[float]] = [[0, float("inf")]]
        self.most = 0

    def place(self, node: Tensor) -> None:
        """Give it bytes: a source's, or new ones."""
        size = node.bytes
        node.alive = True
        for source in node.sources if node.over else ():
            alone = source.root is None and source.alive and source.readers == 1 and not source.views
            if alone and source.shape == node.shape and source.item == node.item:  # never that of a view
                node.at, source.alive = source.at, False
                return
        if size == 0:
            return
        blocks = [block for block in self.free_blocks[:-1] if block[1] >= size]
        # Of equally tight blocks, the last.
        best = min(reversed(blocks), key=lambda block: block[1]) if blocks else self.free_blocks[-1]
        node.at = int(best[0])
        best[0] += size
        best[1] -= size
        if not best[1]:
            self.free_blocks.remove(best)
        self.most = max(self.most, node.at + size)

    def free(self, at: int, size: int) -> None:
        """Make it one block with its free neighbours."""
        blocks = self.free_blocks
        i = next((i for i, block in enumerate(blocks) if block[0] > at), len(blocks))
        blocks.insert(i, [at, size])
        if i + 1 < len(blocks) and at + size == blocks[i + 1][0]:
            blocks[i][1] += blocks.pop(i + 1)[1]
        if i and blocks[i - 1][0] + blocks[i - 1][1] == at:
            blocks[i - 1][1] += blocks.pop(i)[1]
