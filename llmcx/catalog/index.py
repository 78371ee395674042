"""The data files that llmcx brings: YAML, found in the wheel or in the checkout, and an index of them that is quicker to read.

The YAML files are the truth. presets/index.json holds the same data in a form that is read without a YAML parser, which would be
a fifth of the start-up, and one line a file, so that one is read without the others. The wheel is built with it (hatch_build.py);
a checkout writes it on first use, and again where an entry's checksum does not fit its file.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

PACKAGE = Path(__file__).resolve().parent.parent
ROOT = next(path for path in (PACKAGE / "presets", PACKAGE.parent / "presets") if path.is_dir())  # of a wheel, of a checkout
INDEX = ROOT / "index.json"


@lru_cache(maxsize=1)
def _index() -> bytes:
    return INDEX.read_bytes() if INDEX.is_file() else b""


def indexed(key: str) -> Any:
    """What the index holds of ``key``, which has a line of its own; None if it has none."""
    start = f"\n{json.dumps(key)}: ".encode()
    at = _index().find(start)
    return None if at < 0 else json.loads(_index()[at + len(start) : _index().index(b"\n", at + 1)].rstrip(b","))


def entry(path: Path) -> dict[str, Any] | None:
    """What the index holds of a file, unless the file is another by now and the index cannot be written anew."""
    found = _entry(path)
    return _entry(path) if found is None and rewritten() else found


def recount() -> None:
    """Write the index of a checkout anew where the code that counted for it has changed since."""
    code = (path.stat().st_mtime_ns for room in ("catalog", "costs", "model", "ops") for path in PACKAGE.glob(f"{room}/**/*.py"))
    if not INDEX.is_file() or INDEX.stat().st_mtime_ns < max(code):
        rewritten()


@lru_cache(maxsize=1)
def rewritten() -> bool:
    """Write the index of a checkout, once a process. False for a wheel, and where it cannot be written: one does without it."""
    if ROOT.parent == PACKAGE:
        return False
    from llmcx.catalog.presets import index

    temporary = INDEX.with_name(f"index.json.{os.getpid()}")
    try:
        text = index()
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, INDEX)
    except Exception:  # no right to write, or a file that somebody is editing, who hears of it when it is asked for
        return False
    finally:
        with suppress(OSError):
            temporary.unlink()
    _index.cache_clear()
    return True


def _entry(path: Path) -> dict[str, Any] | None:
    key = path.stem if path.parent.name == "models" else f"{path.parent.name}/{path.stem}"
    found: dict[str, Any] | None = indexed(key)
    return found if found is not None and found["crc32"] == crc32(path.read_bytes()) else None


def data_of(path: Path) -> dict[str, Any]:
    """A file of ours as plain data."""
    found = entry(path)
    data: dict[str, Any] = read_yaml(path) if found is None else found["data"]
    return data


def read_yaml(path: Path) -> dict[str, Any]:
    """A file of ours, trusted to be YAML."""
    import yaml

    with path.open("rb") as file:
        data: dict[str, Any] = yaml.load(file, Loader=plain_loader())
    return data


def plain_loader() -> Any:
    """PyYAML's loader of plain values, the quick one where it was built."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def made(path: Path, **counted: int) -> dict[str, Any]:
    """What the index should hold of a file, and of what it describes."""
    return {"crc32": crc32(path.read_bytes()), **counted, "data": read_yaml(path)}


def names(kind: str) -> list[str]:
    """llmcx's own files of "laws" or "hardware", sorted."""
    return stems(ROOT / kind)


def stems(directory: Path) -> list[str]:
    """The names of the YAML files in a directory, sorted."""
    return sorted(file.removesuffix(".yaml") for file in os.listdir(directory) if file.endswith(".yaml"))


def offered(kind: str) -> list[str]:
    """Those, and what plugins add to them."""
    from llmcx import plugins

    return plugins.beside(kind, names(kind))
