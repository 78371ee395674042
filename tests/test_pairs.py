"""Attended pairs and hops against enumeration: each pattern as a set of (query, key), written from its paper's definition."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcx.model import pairs
from llmcx.model.cores import (
    BigBird,
    CausalFlash,
    Core,
    Fixed,
    Flash,
    Local,
    Longformer,
    Reformer,
    Ring,
    Sliding,
    Standard,
    Strided,
    TopK,
)

CORES = st.one_of(
    st.just(Standard()),
    st.just(Flash()),
    st.builds(Sliding, st.integers(1, 12)),
    st.builds(Local, st.integers(1, 12)),
    st.builds(Strided, st.integers(1, 12)),
    st.builds(Longformer, st.integers(1, 12), st.integers(0, 4), st.integers(1, 3)),
    st.just(CausalFlash()),
    st.builds(Ring, st.integers(1, 4)),
    st.integers(1, 6).flatmap(lambda stride: st.builds(Fixed, st.just(stride), st.integers(1, stride))),
)
BIGBIRDS = st.builds(BigBird, st.integers(1, 4), st.sampled_from([1, 3, 5]), st.integers(0, 2), st.integers(0, 3))


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
    if isinstance(core, Fixed):  # Child et al. 2019, sec. 4.2: the same block of l, or j mod l among the last c
        return i // core.stride == j // core.stride or j % core.stride >= core.stride - core.summary
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


def layers_until_connected(keys: list[list[int]], masked: bool) -> int | None:
    """Breadth-first: the most layers that any allowed (source, target) needs; None if some never meet."""
    n = len(keys)
    readers: list[list[int]] = [[] for _ in range(n)]
    for i, seen in enumerate(keys):
        for j in seen:
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
    assert pairs.hops(core, n, masked) == layers_until_connected(attended(core, n, masked), masked)


def bigbird(core: BigBird, n: int, masked: bool, draw: random.Random) -> list[list[int]]:
    """Keys of each query, by Zaheer et al. 2020, sec. 2, in blocks: global ones, the window, random ones of the rest."""
    block_of = [i // core.block for i in range(n)]
    blocks = range(-(-n // core.block))
    whole = [b for b in blocks if (b + 1) * core.block <= n]
    seen: dict[int, set[int]] = {}
    for b in blocks:
        seen[b] = set(range(core.n_global)) | {c for c in blocks if abs(b - c) <= core.window // 2}
        rest = [c for c in whole if c not in seen[b] and (c < b or not masked)]
        seen[b] |= set(blocks) if b < core.n_global else set(draw.sample(rest, min(core.random, len(rest))))
    return [[j for j in range(n) if block_of[j] in seen[block_of[i]] and (j <= i or not masked)] for i in range(n)]


@given(BIGBIRDS, st.integers(1, 40), st.booleans(), st.randoms())
def test_bigbird(core: BigBird, n: int, masked: bool, draw: random.Random) -> None:
    """Whatever blocks are drawn, the count is the same, and all are connected in at most ``hops`` layers."""
    keys = bigbird(core, n, masked, draw)
    assert pairs.useful(core, n, n, masked) == sum(map(len, keys))
    most, needed = pairs.hops(core, n, masked), layers_until_connected(keys, masked)
    assert most is None or (needed is not None and needed <= most)


@given(BIGBIRDS, st.integers(1, 40), st.data())
def test_bigbird_last_queries(core: BigBird, n: int, data: st.DataObject) -> None:
    q = data.draw(st.integers(1, n))
    keys = bigbird(core, n, True, random.Random(n))
    assert pairs.useful(core, q, n, masked=True) == sum(map(len, keys[n - q :]))


@given(st.integers(1, 12), st.integers(1, 40), st.booleans(), st.data())
def test_top_k(top_k: int, n: int, masked: bool, data: st.DataObject) -> None:
    """Every query keeps its best keys, of those that the mask leaves."""
    q = data.draw(st.integers(1, n))
    visible = [i + 1 if masked else n for i in range(n - q, n)]
    assert pairs.useful(TopK(top_k), q, n, masked) == sum(len(range(v)[:top_k]) for v in visible)


@given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 40))
def test_reformer(chunk: int, rounds: int, n: int) -> None:
    """Every chunk of the padded, sorted tokens with itself and the chunk before (the first one: the last)."""
    chunks = -(-n // chunk)
    met = [{c, (c - 1) % chunks} for c in range(chunks)]
    assert pairs.useful(Reformer(chunk, rounds), n, n, True) == rounds * sum(len(keys) * chunk * chunk for keys in met)


@pytest.mark.parametrize("core", [Local(256), Strided(128), Longformer(512, 16), Sliding(4096), Fixed(128, 8), BigBird(64)])
def test_cost_does_not_grow_with_n(core: Core) -> None:
    """Closed forms: a length no loop would finish."""
    assert pairs.useful(core, 10**15, 10**15, masked=True) > 0
    assert pairs.hops(core, 10**15, masked=True)
