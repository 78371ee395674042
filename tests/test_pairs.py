"""Attended pairs and hops against enumeration: each pattern as a set of (query, key), written from its paper's definition."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcx.core import pairs
from llmcx.core.parts import Core, Flash, Local, Longformer, Sliding, Standard, Strided

CORES = st.one_of(
    st.just(Standard()),
    st.just(Flash()),
    st.builds(Sliding, st.integers(1, 12)),
    st.builds(Local, st.integers(1, 12)),
    st.builds(Strided, st.integers(1, 12)),
    st.builds(Longformer, st.integers(1, 12), st.integers(0, 4), st.integers(1, 3)),
)


def sees(core: Core, i: int, j: int, masked: bool) -> bool:
    """Whether query i may look at key j (both from 0), by the pattern's definition."""
    if masked and j > i:
        return False
    gap = abs(i - j)
    if isinstance(core, Sliding):  # Mistral: itself and the window - 1 before it
        return gap < core.window if masked else gap <= core.window // 2
    if isinstance(core, Local):  # itself and `window` neighbours
        return gap <= (core.window if masked else core.window // 2)
    if isinstance(core, Strided):  # Child et al. 2019, sec. 4.2: j in {max(0, i - l), ..., i} or (i - j) mod l = 0
        return gap <= core.stride or gap % core.stride == 0
    if isinstance(core, Longformer):  # Beltagy et al. 2020, sec. 3.1: global tokens, else a dilated window among the others
        if i < core.n_global or j < core.n_global:
            return True
        steps, rest = divmod(gap, core.dilation)
        return rest == 0 and steps <= (core.window if masked else core.window // 2)
    return True


def attended(core: Core, n: int, masked: bool) -> list[list[int]]:
    return [[j for j in range(n) if sees(core, i, j, masked)] for i in range(n)]


@given(CORES, st.integers(1, 40), st.booleans())
def test_useful_pairs_of_a_full_pass(core: Core, n: int, masked: bool) -> None:
    assert pairs.useful(core, n, n, masked) == sum(map(len, attended(core, n, masked)))


@given(CORES, st.integers(1, 40), st.data())
def test_useful_pairs_of_the_last_queries_under_a_mask(core: Core, n: int, data: st.DataObject) -> None:
    """A decode step (q = 1) and chunks of a prefill: the last q of n tokens."""
    q = data.draw(st.integers(1, n))
    assert pairs.useful(core, q, n, masked=True) == sum(map(len, attended(core, n, True)[n - q :]))


def layers_until_connected(core: Core, n: int, masked: bool) -> int | None:
    """Breadth-first: the most layers that any allowed (source, target) needs; None if some never meet."""
    readers: list[list[int]] = [[] for _ in range(n)]
    for i, keys in enumerate(attended(core, n, masked)):
        for j in keys:
            readers[j].append(i)
    worst = 1
    for source in range(n):
        distance = {source: 0}
        queue = deque([source])
        while queue:
            at = queue.popleft()
            for target in readers[at]:
                if target not in distance:
                    distance[target] = distance[at] + 1
                    queue.append(target)
        targets = range(source, n) if masked else range(n)
        if any(target not in distance for target in targets):
            return None
        worst = max(worst, *(distance[target] for target in targets))
    return worst


@given(CORES, st.integers(1, 30), st.booleans())
def test_hops(core: Core, n: int, masked: bool) -> None:
    assert pairs.hops(core, n, masked) == layers_until_connected(core, n, masked)


@pytest.mark.parametrize("core", [Local(256), Strided(128), Longformer(512, 16), Sliding(4096)])
def test_cost_does_not_grow_with_n(core: Core) -> None:
    """Closed forms: a length no loop would finish."""
    assert pairs.useful(core, 10**15, 10**15, masked=True) > 0
    assert pairs.hops(core, 10**15, masked=True)
