"""Sizes as people write them -> integers. Exact: no size passes through a float."""

from __future__ import annotations

import re
from collections.abc import Callable

from llmcx.errors import InputError, shown

_NUMBER = re.compile(r"(\d[\d_]*)(?:\.(\d*))?(?:[eE]\+?(-?\d{1,4}))?\s*([A-Za-z]*)", re.ASCII)
_COUNT = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12, "p": 10**15}
_LENGTH = {"": 1, "k": 2**10, "m": 2**20}
_BYTES = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_LARGEST = 10**36


def _parse(text: str, suffixes: dict[str, int], field: str, what: str) -> int:
    match = _NUMBER.fullmatch(text.strip())
    unit = suffixes.get(match[4].lower()) if match else None
    if match is None or unit is None:
        example = {id(_COUNT): "175B or 1.5T", id(_LENGTH): "2048 or 8k", id(_BYTES): "80GB or 80GiB"}[id(suffixes)]
        problem = f"{field} is {shown(text)}, but must be {what}, e.g. {example}"
        raise InputError(problem, field=field, value=text[:200], allowed=what)
    fraction = match[2] or ""
    digits = (match[1] + fraction).replace("_", "")
    if len(digits) > 100:  # Python refuses to read thousands of them, and no size needs more
        problem = f"{field} is {shown(text)}, which has {len(digits):,} digits, more than any size"
        raise InputError(problem, field=field, value=text[:200], allowed="at most 10^36")
    exponent = int(match[3] or 0) - len(fraction)
    value, rest = int(digits) * unit, 0
    if exponent < 0:
        value, rest = divmod(value, int(10**-exponent))
    else:
        value *= int(10 ** min(exponent, 60))
    if rest and not (suffixes is _BYTES and unit > 1):  # 22.62GiB is a log's own figure: the whole bytes of it
        raise InputError(f"{field} is {text}, which is not a whole number", field=field, value=text, allowed=what)
    if value > _LARGEST:
        raise InputError(f"{field} is {text}, which is beyond 10^36", field=field, value=text, allowed="at most 10^36")
    return value


def count(text: str, field: str = "value") -> int:
    """Tokens, parameters, FLOPs: k, M, B, T are powers of 1000.

    >>> count("1.5T"), count("3.14e23"), count("50_257")
    (1500000000000, 314000000000000000000000, 50257)
    """
    return _parse(text, _COUNT, field, "a whole number")


def length(text: str, field: str = "seq") -> int:
    """Sequence lengths follow the field: 8k is 8192, 1M is 1,048,576.

    >>> length("8k"), length("128k"), length("2048")
    (8192, 131072, 2048)
    """
    return _parse(text, _LENGTH, field, "a whole number of tokens")


def size(text: str, field: str = "budget") -> int:
    """Bytes, with their unit: GB is 10^9, GiB is 2^30; of a fraction the whole bytes. A bare number or a bare G is refused.

    >>> size("80GB"), size("80GiB"), size("22.62GiB")
    (80000000000, 85899345920, 24288040058)
    """
    return _parse(text, _BYTES, field, "a size in bytes with its unit")


_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0}


def seconds(text: str, field: str = "time") -> float:
    """A time, with its unit: 2s, 40ms, 250us. A bare number is refused: of a token milliseconds are meant, of a prompt seconds.

    >>> seconds("2s"), seconds("40ms"), seconds(".5 s")
    (2.0, 0.04, 0.5)
    """
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})\s*([a-zµ]*)", text.strip(), re.ASCII | re.IGNORECASE)
    unit = _SECONDS.get(match[2].lower()) if match else None
    if match is not None and not match[2] and float(match[1]):
        bare = text.strip()
        problem = f"{field} is {bare}, but must be a time with its unit: {bare}ms or {bare}s"
        raise InputError(problem, field=field, value=bare, allowed="a time such as 2s or 40ms")
    if match is None or unit is None or not float(match[1]):
        problem = f"{field} is {shown(text)}, but must be a time above 0, e.g. 2s or 40ms"
        raise InputError(problem, field=field, value=text[:200], allowed="a time such as 2s or 40ms")
    return float(f"{float(match[1]) * unit:.12g}")


_A_SECOND = {"": 1.0, "/s": 1.0, "rps": 1.0, "qps": 1.0, "/min": 1 / 60, "/h": 1 / 3600}


def rate(text: str, field: str = "rate") -> float:
    """Requests a second: 20/s, 90/min, 5000/h; a bare number is of seconds.

    >>> rate("20/s"), rate("90/min"), rate("0.5")
    (20.0, 1.5, 0.5)
    """
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})\s*([a-z/]*)", text.strip(), re.ASCII | re.IGNORECASE)
    unit = _A_SECOND.get(match[2].lower()) if match else None
    if match is None or unit is None or not float(match[1]):
        problem = f"{field} is {shown(text)}, but must be a number of requests above 0, e.g. 20/s or 90/min"
        raise InputError(problem, field=field, value=text[:200], allowed="a rate such as 20/s or 90/min")
    return float(f"{float(match[1]) * unit:.12g}")


def between(text: str, field: str = "gpus") -> tuple[int, int]:
    """A number, or the least and the most of some: 8..64.

    >>> between("8"), between("8..64")
    ((8, 8), (8, 64))
    """
    ends = [count(end, field) for end in text.split("..")]
    if not 1 <= len(ends) <= 2 or not 1 <= ends[0] <= ends[-1]:
        problem = f"{field} is {shown(text)}, but must be a number of at least 1, or two of them that grow, e.g. 8..64"
        raise InputError(problem, field=field, value=text[:200], allowed="N or N..M")
    return ends[0], ends[-1]


def many(text: str, one: Callable[[str, str], int], field: str, most: int = 1000) -> list[int]:
    """A comma-separated list of what ``one`` parses, and of ranges with their end: 1k:1M:x4 multiplies, 1k:8k:+1k adds. A range
    has at most ``most`` values.

    >>> many("512,2k", length, "seq"), many("1k:64k:x4", length, "seq"), many("8:32:+8", count, "heads")
    ([512, 2048], [1024, 4096, 16384, 65536], [8, 16, 24, 32])
    """
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        raise InputError(f"{field} is {shown(text)}, which has an empty entry", field=field, value=text[:200])
    return [value for part in parts for value in (_range(part, one, field, most) if ":" in part else [one(part, field)])]


def _range(text: str, one: Callable[[str, str], int], field: str, most: int) -> list[int]:
    ends = text.split(":")
    step = ends[2].strip() if len(ends) == 3 else "x2"
    if not 2 <= len(ends) <= 3 or step[:1] not in ("x", "+"):
        problem = f"{field} is {shown(text)}, but a range is FROM:TO:xFACTOR or FROM:TO:+STEP, e.g. 1k:1M:x4"
        raise InputError(problem, field=field, value=text[:200], allowed="FROM:TO:xFACTOR or FROM:TO:+STEP")
    low, high = (one(end.strip(), field) for end in ends[:2])
    by = one(step[1:], field) if step[0] == "+" else count(step[1:], field)
    if low < (step[0] == "x") or high < low or by < (2 if step[0] == "x" else 1):
        problem = f"{field} is {shown(text)}, but a range must begin at 1 or more (0 with +STEP) and grow up to its end"
        raise InputError(problem, field=field, value=text[:200])
    values = []
    while low <= high:
        values.append(low)
        low = low * by if step[0] == "x" else low + by
        if len(values) > most:
            raise InputError(f"{field} is {shown(text)}, which has more than {most:,} values", field=field, value=text[:200])
    return values
