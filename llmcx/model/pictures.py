"""What an image of so many pixels becomes, and a sound of so many seconds: the pictures or windows that a tower is fed, and the
tokens that stand for them in the text.

A family has one rule for each, plain data that its reader sets on the model; its sizes are those of the release's processor.
Rounding follows the processors of transformers 5.23 (models/*/image_processing_*.py), floating point included, so that the counts
agree at every size.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, sqrt
from typing import Any, Literal, NamedTuple, Union

from llmcx.errors import InputError

Size = tuple[int, int]
MOST_TILES = 256
"""Beyond any processor's; what is tried grows with its square."""


class Seen(NamedTuple):
    """What one image becomes: so many pictures of so many rows and columns of patches each, the ``tokens`` that stand in the
    text, with marks between them that the processor puts there, and the rows and columns of ``tiles`` where it is cut.
    """

    pictures: tuple[tuple[int, int, int], ...]
    tokens: int
    tiles: Size | None = None


class Heard(NamedTuple):
    """What one sound becomes: ``windows`` of ``frames`` each, padding included, and ``tokens`` in the text."""

    windows: int
    frames: int
    tokens: int


# --- images ---------------------------------------------------------------------------------------------------------


class Square(NamedTuple):
    """Every image is made a square of ``side`` pixels, and stands as so many ``tokens`` (CLIP, SigLIP: LLaVA 1.5, PaliGemma)."""

    side: int
    patch: int
    tokens: int
    type: Literal["square"] = "square"

    def see(self, width: int, height: int) -> Seen:
        """The same for any size."""
        edge = self.side // self.patch
        return Seen(((1, edge, edge),), self.tokens)


class Multiples(NamedTuple):
    """Both sides rounded to multiples of ``merge`` patches, the shape kept, with between ``least`` and ``most`` pixels, those of
    ``frames`` images counted together (GLM). A side below one multiple is first made as long as one: both sides
    ``scaled`` down to whole pixels, or each ``rounded`` (Qwen-VL: Wang et al. 2024, arXiv:2409.12191, sec. 2.1).
    """

    patch: int
    merge: int
    least: int
    most: int
    frames: int = 1
    small: Literal["kept", "scaled", "rounded"] = "kept"
    type: Literal["multiples"] = "multiples"

    def see(self, width: int, height: int) -> Seen:
        """Raises InputError for a shape longer than 200 to 1, which the processors refuse."""
        unit = self.patch * self.merge
        if self.small == "scaled" and min(width, height) < unit:
            scale = max(unit / height, unit / width)
            width, height = int(width * scale), int(height * scale)
        elif self.small == "rounded":
            if height < unit:
                width, height = round(width * unit / height), unit
            if width < unit:
                width, height = unit, round(height * unit / width)
        if max(width, height) > 200 * min(width, height):
            problem = f"an image of {width} × {height} pixels is longer than 200 to 1, which the model's processor refuses"
            raise InputError(problem, field="image", value=f"{width}x{height}", allowed="at most 200 to 1")
        wide, high = resized(width, height, unit, self.least, self.most, self.frames)
        rows, columns = high // self.patch, wide // self.patch
        return Seen(((1, rows, columns),), rows * columns // self.merge**2)


def resized(width: int, height: int, unit: int, least: int, most: int, frames: int = 1, floored: int = 0) -> Size:
    """Both sides as multiples of ``unit``, at least ``floored``, ``frames`` of them with ``least`` to ``most`` pixels in all."""
    wide, high = (max(floored, round(side / unit) * unit) for side in (width, height))
    if frames * wide * high > most:
        by = sqrt(frames * height * width / most)
        return max(unit, floor(width / by / unit) * unit), max(unit, floor(height / by / unit) * unit)
    if frames * wide * high < least:
        by = sqrt(least / (frames * height * width))
        return ceil(width * by / unit) * unit, ceil(height * by / unit) * unit
    return wide, high


class Longest(NamedTuple):
    """No side longer than ``edge``, each rounded up to whole patches, or to ``merge`` of them where ``whole``; with ``breaks``, a
    token ends each row (Pixtral: Agrawal et al. 2024, arXiv:2410.07073, sec. 2.1).
    """

    patch: int
    merge: int
    edge: int
    breaks: bool = True
    whole: bool = True
    type: Literal["longest"] = "longest"

    def see(self, width: int, height: int) -> Seen:
        """A larger image is made smaller, never the other way round. Raises InputError for one so thin that nothing is left."""
        unit = self.patch * (self.merge if self.whole else 1)
        ratio = max(height / self.edge, width / self.edge)
        if ratio > 1:
            small = floor(width / ratio), floor(height / ratio)
            if not min(small):
                problem = f"an image of {width} × {height} pixels has no pixel across when it is {self.edge} long"
                raise InputError(problem, field="image", value=f"{width}x{height}")
            width, height = small
        rows, columns = (-(-side // unit) * unit // self.patch for side in (height, width))
        high, wide = rows // self.merge, columns // self.merge
        return Seen(((1, rows, columns),), high * (wide + self.breaks))


class Padded(NamedTuple):
    """Both sides padded to multiples of ``merge`` patches, after the image is made larger until it has ``least`` tokens, or
    smaller until it has no more than ``most``; ``frames`` of it lie in a patch (GLM 5.3).
    """

    patch: int
    merge: int
    least: int
    most: int
    frames: int = 1
    type: Literal["padded"] = "padded"

    def see(self, width: int, height: int) -> Seen:
        """The largest height that fits is found by halves."""
        unit = self.patch * self.merge
        high, wide = (-(-side // unit) for side in (height, width))
        least = self.least * self.frames * unit**2
        if self.frames * high * wide * unit**2 < least:
            by = sqrt(least / (self.frames * height * width))
            high, wide = (ceil(max(1, ceil(side * by)) / unit) for side in (height, width))
        if high * wide > self.most:
            low, top, high, wide = 1, height, 1, 1
            while low <= top:
                inside = (low + top) // 2
                rows, columns = ceil(inside / unit), ceil(max(1, floor(width * inside / height)) / unit)
                if rows * columns <= self.most:
                    low, high, wide = inside + 1, rows, columns
                else:
                    top = inside - 1
        return Seen(((1, high * self.merge, wide * self.merge),), high * wide)


class Between(NamedTuple):
    """No side longer than ``most`` pixels nor shorter than ``least``, the shape kept where it can be; every picture stands as so
    many ``tokens`` between marks. In ``quarters``, four of them beside the whole, all as large as the largest (Idefics2:
    Laurençon et al. 2024, arXiv:2405.02246).
    """

    patch: int
    least: int
    most: int
    tokens: int
    quarters: bool = False
    type: Literal["between"] = "between"

    def see(self, width: int, height: int) -> Seen:
        """Raises InputError for an image of one pixel across, of which there are no quarters."""
        shapes = [(width, height)]
        if self.quarters:
            if min(width, height) < 2:
                problem = f"an image of {width} × {height} pixels cannot be cut in four"
                raise InputError(problem, field="image", value=f"{width}x{height}")
            shapes += [(wide, high) for wide in (width // 2, width - width // 2) for high in (height // 2, height - height // 2)]
        fitted = [self._fitted(*shape) for shape in shapes]
        rows, columns = (max(sides) // self.patch for sides in ([high for _, high in fitted], [wide for wide, _ in fitted]))
        return Seen(((len(shapes), rows, columns),), len(shapes) * (self.tokens + 1) + 1)

    def _fitted(self, width: int, height: int) -> Size:
        """As the processor rounds."""
        ratio = width / height
        if width >= height and width > self.most:
            width, height = self.most, int(self.most / ratio)
        elif height > width and height > self.most:
            width, height = int(self.most * ratio), self.most
        return max(width, self.least), max(height, self.least)


class Fitted(NamedTuple):
    """Made smaller until the image has no more than ``most`` patches, and ``edge`` on a side, then padded to ``merge`` patches
    (Kimi's MoonViT).
    """

    patch: int
    merge: int
    most: int
    edge: int
    type: Literal["fitted"] = "fitted"

    def see(self, width: int, height: int) -> Seen:
        """Never made larger."""
        count = max(1, height // self.patch) * max(1, width // self.patch)
        side, unit = self.edge * self.patch, self.merge * self.patch
        scale = min(1.0, sqrt(self.most / count), side / height, side / width)
        rows, columns = (-(-min(max(1, int(each * scale)), side) // unit) * self.merge for each in (height, width))
        return Seen(((1, rows, columns),), rows * columns // self.merge**2)


class Filled(NamedTuple):
    """As large as so many ``tokens`` of ``pool`` by ``pool`` patches allow, the shape kept (Gemma 4)."""

    patch: int
    pool: int
    tokens: int
    type: Literal["filled"] = "filled"

    def see(self, width: int, height: int) -> Seen:
        """A thin image has one token across, and no more along it than there are."""
        unit, pixels = self.pool * self.patch, self.tokens * self.pool**2 * self.patch**2
        by = sqrt(pixels / (height * width))
        high, wide = floor(by * height / unit), floor(by * width / unit)
        if not high:
            high, wide = 1, min(width // height, self.tokens)
        elif not wide:
            high, wide = min(height // width, self.tokens), 1
        return Seen(((1, high * self.pool, wide * self.pool),), high * wide)


class Tiles(NamedTuple):
    """Squares of ``side`` pixels, ``least`` to ``most`` of them, and the whole image as one more where there are several; each
    stands as so many ``tokens`` and ``marks``, all between ``around`` marks.

    The rows and columns: those whose shape is nearest to the image's, more of them where that does not stretch it twofold
    ("nearest": InternVL, Chen et al. 2024, arXiv:2404.16821, sec. 3.3; Aya); those that make it larger by the least, else smaller
    by the least, of equal ones the fewest tiles ("tightest": Command A Vision, Llama 4).
    """

    side: int
    patch: int
    tokens: int
    most: int
    least: int = 1
    how: Literal["nearest", "tightest"] = "nearest"
    around: int = 2
    marks: int = 0
    type: Literal["tiles"] = "tiles"

    def see(self, width: int, height: int) -> Seen:
        """Rows and columns first."""
        if self.most == 1:
            columns, rows = 1, 1
        elif self.how == "nearest":
            columns, rows = nearest(width, height, self.side, self.least, self.most)
        else:
            columns, rows = tightest(width, height, self.side, self.most)
        edge, many = self.side // self.patch, columns * rows
        many += many > 1
        return Seen(((many, edge, edge),), self.around + many * (self.tokens + self.marks), (rows, columns))


def shapes(least: int, most: int) -> list[Size]:
    """Columns and rows of ``least`` to ``most`` tiles, the fewest first."""
    found = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most // columns + 1)]
    return sorted((shape for shape in found if shape[0] * shape[1] >= least), key=lambda shape: shape[0] * shape[1])


def nearest(width: int, height: int, side: int, least: int, most: int) -> Size:
    """Columns and rows whose shape is nearest to the image's; of equal ones the last whose area it fills by half."""
    best, off = (1, 1), float("inf")
    for columns, rows in shapes(least, most):
        this = abs(width / height - columns / rows)
        if this < off or (this == off and width * height > 0.5 * side * side * columns * rows):
            best, off = (columns, rows), this
    return best


def tightest(width: int, height: int, side: int, most: int) -> Size:
    """Columns and rows into which the image fits at the least scale from 1 up, else at the largest below."""
    scales = [(min(columns * side / width, rows * side / height), (columns, rows)) for columns, rows in shapes(1, most)]
    above = [scale for scale, _ in scales if scale >= 1]
    chosen = min(above) if above else max(scale for scale, _ in scales)
    return next(shape for scale, shape in scales if scale == chosen)


class Split(NamedTuple):
    """The longest side made ``edge`` pixels, both rounded up to multiples of ``side``, cut into squares of it, and the whole as
    one more; each square stands as ``tokens`` and two marks, a mark ends each row (Idefics 3: Laurençon et al. 2024,
    arXiv:2408.12637, sec. 2.1).
    """

    side: int
    patch: int
    tokens: int
    edge: int
    type: Literal["split"] = "split"

    def see(self, width: int, height: int) -> Seen:
        """One square alone is not cut."""
        shape = width / height
        limit = min(self.edge, 4096)
        if width >= height:
            wide = self.edge
            high = int(wide / shape)
            high += high % 2
        else:
            high = self.edge
            wide = int(high * shape)
            wide += wide % 2
        high, wide = max(high, 1), max(wide, 1)
        if max(wide, high) > limit:
            wide, high = (
                (limit, max(1, int(limit / (wide / high)))) if wide >= high else (max(1, int(limit * wide / high)), limit)
            )
        shape, unit = wide / high, self.side
        if wide >= high:
            wide = ceil(wide / unit) * unit
            high = ceil(int(wide / shape) / unit) * unit
        else:
            high = ceil(high / unit) * unit
            wide = ceil(int(high * shape) / unit) * unit
        rows, columns, edge = max(1, high // unit), max(1, wide // unit), self.side // self.patch
        if rows * columns == 1:
            return Seen(((1, edge, edge),), self.tokens + 3, (1, 1))
        many = rows * columns + 1
        return Seen(((many, edge, edge),), 1 + many * (self.tokens + 2) + rows, (rows, columns))


class Resolutions(NamedTuple):
    """One of the ``sizes`` in pixels (height, width, height, width, ...), that which keeps most of the image, cut into squares
    of ``side`` pixels, and the whole as one more. Tokens that are padding are left out, one ends each row, and no more than
    ``most`` squares of them stay (LLaVA-NeXT; LLaVA-OneVision: Li et al. 2024, arXiv:2408.03326, sec. 3.2). ``added``: a class
    token kept. ``alone``: an image among several is not cut.
    """

    side: int
    patch: int
    sizes: tuple[int, ...]
    most: int | None = None
    added: int = 0
    alone: bool = False
    type: Literal["resolutions"] = "resolutions"

    def see(self, width: int, height: int) -> Seen:
        """What is seen is all squares, padding too."""
        best, kept, waste = (self.side, self.side), 0, float("inf")
        for high, wide in zip(self.sizes[::2], self.sizes[1::2], strict=True):
            scale = min(wide / width, high / height)
            used = min(int(width * scale) * int(height * scale), width * height)
            if used > kept or (used == kept and wide * high - used < waste):
                best, kept, waste = (high, wide), used, wide * high - used
        edge = self.side // self.patch
        rows, columns = best[0] // self.side, best[1] // self.side
        high, wide = edge * rows, edge * columns
        if width / height > wide / high:
            high -= (high - int(round(height * (wide / width), 7))) // 2 * 2
        else:
            wide -= (wide - int(round(width * (high / height), 7))) // 2 * 2
        if self.most is not None and (ratio := sqrt(high * wide / (self.most * edge**2))) > 1.1:
            high, wide = int(high // ratio), int(wide // ratio)
        many = rows * columns + 1
        return Seen(((many, edge, edge),), high * (wide + 1) + edge**2 + self.added, (rows, columns))


class Overview(NamedTuple):
    """Up to ``tokens`` (and no fewer than ``fewest``) of ``merge`` by ``merge`` patches; an image of over ``tolerance`` times
    their pixels is cut into ``least`` to ``most`` squares of ``side`` pixels, with a mark each, beside that smaller view of the
    whole (LFM2-VL).
    """

    patch: int
    merge: int
    side: int
    tokens: int
    fewest: int
    least: int = 2
    most: int = 10
    tolerance: float = 2.0
    thumbnail: bool = True
    marks: bool = True
    type: Literal["overview"] = "overview"

    def see(self, width: int, height: int) -> Seen:
        """A view of the whole, alone or beside the squares."""
        unit = self.patch * self.merge
        wide, high = resized(width, height, unit, self.fewest * unit**2, self.tokens * unit**2, floored=unit)
        whole = (1, high // self.patch, wide // self.patch)
        tokens, around = (high // unit) * (wide // unit), 2 * self.marks
        sides = [max(self.patch, round(each / unit) * unit) for each in (width, height)]
        if sides[0] * sides[1] <= self.tokens * unit**2 * self.tolerance or self.most == 1:
            return Seen((whole,), tokens + around, (1, 1))
        columns, rows = nearest(width, height, self.side, self.least, self.most)
        edge, many = self.side // self.patch, rows * columns
        tiles, each = (many, edge, edge), ceil(edge / self.merge) ** 2 + self.marks
        if many == 1:
            return Seen((whole,), tokens + around, (1, 1))
        if not self.thumbnail:
            return Seen((tiles,), around + many * each, (rows, columns))
        return Seen((tiles, whole), around + many * each + self.marks + tokens, (rows, columns))


class Unknown(NamedTuple):
    """A rule that cannot be told, and why not."""

    why: str
    type: Literal["unknown"] = "unknown"

    def see(self, width: int, height: int) -> Seen:
        """Raises InputError."""
        raise InputError(f"what an image becomes is not known: {self.why}", field="image")


def look(rule: Sight, width: int, height: int, images: int = 1) -> Seen:
    """What an image becomes, one of so many. Raises InputError for a size that the processor refuses."""
    if images > 1 and isinstance(rule, Resolutions) and rule.alone:
        edge = rule.side // rule.patch
        return Seen(((1, edge, edge),), edge**2 + 1, (1, 1))
    return rule.see(width, height)


Sight = Union[Unknown, Square, Multiples, Longest, Padded, Between, Fitted, Filled, Tiles, Split, Resolutions, Overview]
SIGHTS = {
    "unknown": Unknown,
    "square": Square,
    "multiples": Multiples,
    "longest": Longest,
    "padded": Padded,
    "between": Between,
    "fitted": Fitted,
    "filled": Filled,
    "tiles": Tiles,
    "split": Split,
    "resolutions": Resolutions,
    "overview": Overview,
}


# --- sounds ---------------------------------------------------------------------------------------------------------


class Windows(NamedTuple):
    """A spectrum of 100 frames a second in windows of ``seconds``, the last one padded; at most ``most`` seconds. Two frames make
    a step, of which ``steps`` make a token: of all windows, where ``padded``, else of the frames that are heard (Whisper's kin:
    Radford et al. 2022, arXiv:2212.04356, sec. 2.2). ``marks`` stand around them.
    """

    steps: int
    padded: bool = False
    seconds: int = 30
    most: int | None = None
    marks: int = 0
    type: Literal["windows"] = "windows"

    def hear(self, samples: int) -> Heard:
        """``samples`` of 16,000 a second. Raises InputError for a sound that the processor would cut off."""
        if self.most is not None and samples > self.most * RATE:
            problem = f"the audio lasts {samples / RATE:g} s, but the model's processor keeps {self.most} s"
            raise InputError(problem, field="audio", value=f"{samples / RATE:g}s", allowed=f"at most {self.most}s")
        windows, frames = max(1, -(-samples // (self.seconds * RATE))), self.seconds * 100
        heard = windows * frames if self.padded else -(-samples // 160)
        steps = (heard - 1) // 2 + 1
        return Heard(windows, frames, max(0, (steps - self.steps) // self.steps + 1) + self.marks)


RATE = 16_000
"""Samples a second, of every family's sounds."""
Hearing = Windows
HEARINGS = {"windows": Windows}


# --- what a sequence has beside its text ------------------------------------------------------------------------------


class Shown(NamedTuple):
    """What stands in each sequence beside its text: ``images`` alike, each as ``seen``, and a sound as ``heard``."""

    images: int = 0
    seen: Seen | None = None
    heard: Heard | None = None

    @property
    def tokens(self) -> int:
        """Of all of them, in each sequence."""
        found = self.images * self.seen.tokens if self.seen is not None else 0
        return found + (self.heard.tokens if self.heard is not None else 0)

    def fed(self) -> dict[str, Any]:
        """What a run's towers are given, by the names of :class:`~llmcx.model.run.Run`."""
        out: dict[str, Any] = {}
        if self.seen is not None:
            (first, rows, columns), *more = self.seen.pictures
            out |= {"images": self.images * first, "grid": (rows, columns)}
            out["further"] = tuple((self.images * many, (high, wide)) for many, high, wide in more)
        if self.heard is not None:
            out |= {"sounds": self.heard.windows, "frames": self.heard.frames}
        return out


NOTHING = Shown()


def check(rule: Sight | Hearing) -> None:
    """Refuse sizes that no processor has: every number at least 1, but for marks and what is added.

    Raises InputError.
    """
    free = ("around", "marks", "added")
    for name, value in _numbers(rule):
        if value < (name not in free) or value > 10**9:
            allowed = f"between {int(name not in free)} and 10^9"
            raise InputError(f"{name} is {value}, but must be {allowed}", field=name, value=value, allowed=allowed)
    if isinstance(rule, (Tiles, Overview)) and not rule.least <= rule.most <= MOST_TILES:
        allowed = f"at least {rule.least} and at most {MOST_TILES}"
        raise InputError(f"most is {rule.most}, but must be {allowed}", field="most", value=rule.most, allowed=allowed)
    if isinstance(rule, Resolutions) and (len(rule.sizes) % 2 or not rule.sizes):
        raise InputError("sizes must be heights and widths in turn", field="sizes")
    if isinstance(rule, (Square, Tiles, Split, Resolutions, Overview)) and rule.side < rule.patch:
        raise InputError(f"side is {rule.side}, less than a patch of {rule.patch}", field="side", value=rule.side)


def _numbers(rule: Sight | Hearing) -> Iterator[tuple[str, int]]:
    for name, value in rule._asdict().items():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, (int, float)) and not isinstance(each, bool):
                yield name, each  # type: ignore[misc]
