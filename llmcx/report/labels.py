"""Where a picture's words stand: clear of its lines and of each other. Places are in pixels, from the lower left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import hypot
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle."""

    x0: float
    y0: float
    x1: float
    y1: float

    def meets(self, other: Box) -> bool:
        """Whether they overlap.

        >>> Box(0, 0, 2, 2).meets(Box(1, 1, 3, 3)), Box(0, 0, 2, 2).meets(Box(2, 0, 3, 3))
        (True, False)
        """
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1


def apart(places: Sequence[float], height: float, low: float, high: float) -> list[float]:
    """Places as near to ``places`` as may be, in their order, each ``height`` from the next, between ``low`` and ``high`` where
    there is room: neighbours that come too close are moved together, so that on average they stand where they should.

    >>> apart([5, 5, 5], 2, 0, 10), apart([9.5, 10], 2, 0, 10)
    ([3.0, 5.0, 7.0], [8, 10])
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    runs: list[tuple[float, int]] = []  # the mean of what is left of their wishes, and how many they are
    for rank, i in enumerate(order):
        runs.append((places[i] - rank * height, 1))
        while len(runs) > 1 and runs[-2][0] > runs[-1][0]:
            (one, many), (other, more) = runs[-2:]
            runs[-2:] = [((one * many + other * more) / (many + more), many + more)]
    firsts = [mean for mean, many in runs for _ in range(many)]
    found = [0.0] * len(places)
    for rank, i in enumerate(order):
        least, most = low + rank * height, high - (len(order) - 1 - rank) * height
        found[i] = max(least, min(most, firsts[rank] + rank * height))
    return found


DIRECTIONS = (
    (1, 0),
    (1, 0.6),
    (1, -0.6),
    (0.5, 1),
    (0.5, -1),
    (0, 1),
    (0, -1),
    (-0.5, 1),
    (-0.5, -1),
    (-1, 0),
    (-1, 0.6),
    (-1, -0.6),
)


def beside(
    at: tuple[float, float], size: tuple[float, float], taken: Iterable[Box], path: Sequence[tuple[float, float]], room: Box
) -> Box:
    """Where a text of that ``size`` stands near a point: where it meets no box that is ``taken``, as little as may be of the
    ``path`` of lines, and lies in the ``room``; the nearest of such places.
    """
    width, height = size
    boxes = list(taken)

    def cost(box: Box, distance: float) -> float:
        outside = max(0.0, room.x0 - box.x0, box.x1 - room.x1, room.y0 - box.y0, box.y1 - room.y1)
        struck = sum(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 for x, y in path)
        return 1e6 * sum(box.meets(other) for other in boxes) + 1e4 * outside + 60 * min(struck, 20) + distance

    tried = []
    for reach in (10.0, 18.0, 30.0, 46.0, 66.0, 92.0, 126.0):
        for across, up in DIRECTIONS:
            x = at[0] + across * reach - width * (1 - across) / 2
            y = at[1] + up * reach - height * (1 - up) / 2
            box = Box(x, y, x + width, y + height)
            tried.append((cost(box, hypot(across, up) * reach), box))
    return min(tried, key=lambda each: each[0])[1]
