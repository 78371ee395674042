"""Data files other than models: scaling laws and hardware, one YAML file each."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llmcx import plugins
from llmcx.catalog.files import parse, read_text
from llmcx.catalog.index import ROOT, data_of, names, offered
from llmcx.errors import InputError, unknown_name
from llmcx.machine.hardware import Hardware, hardware

if TYPE_CHECKING:
    from llmcx.scaling.laws import Law


def load(kind: str, name: str) -> dict[str, Any]:
    """One file's data. Raises InputError with the nearest names, or with what is wrong in a plugin's file."""
    if name in names(kind):
        return data_of(ROOT / kind / f"{name}.yaml")
    brought = plugins.file(kind, name)
    if brought is None:
        what = {"laws": "law"}.get(kind, kind)
        raise unknown_name(what, name, offered(kind), field=what)
    from llmcx.scaling.laws import law

    data = parse(read_text(str(brought.path)), str(brought.path))
    try:
        {"laws": law, "hardware": hardware}[kind](data)
    except InputError as error:
        raise InputError(f"{brought.path}: {error.message}", field=error.field, value=error.value) from None
    return data


def load_law(name: str) -> Law:
    """A scaling law by name, or from a YAML file of one's own (a name with a dot or a slash in it)."""
    from llmcx.scaling.laws import law

    if "/" in name or name.endswith((".yaml", ".yml")):
        return law(parse(read_text(name), name))
    return law(load("laws", name))


@lru_cache(maxsize=1)
def hardware_aliases() -> dict[str, str]:
    """Alias -> name of an accelerator."""
    return {alias: name for name in names("hardware") for alias in load("hardware", name).get("aliases", ())}


def load_hardware(name: str) -> Hardware:
    """An accelerator by name, alias or marketing name, or from a YAML file. Raises InputError with the nearest names.

    >>> load_hardware("NVIDIA GeForce RTX 4090").name, load_hardware("h100_sxm").name
    ('rtx-4090', 'h100')
    """
    if "/" in name or name.lower().endswith((".yaml", ".yml")):
        return hardware(parse(read_text(name), name))
    lower = name.lower()
    known = names("hardware")
    if lower not in known:
        aliases = hardware_aliases()
        if lower not in aliases and plugins.file("hardware", lower) is None:
            alike = [own for own in (*known, *aliases) if _bare(own) == _bare(name)]
            if not alike:
                if re.fullmatch(r"[\d.]+\s*[gt]i?b", lower):
                    problem = f"{name} is a size, and --hardware names an accelerator; give --budget {name.replace(' ', '')}"
                    raise InputError(problem, field="hardware", value=name)
                valid = [*offered("hardware"), *aliases]
                raise unknown_name("accelerator", name, valid, field="hardware", listed="catalog hardware")
            lower = alike[0]
        lower = aliases.get(lower, lower)
    return hardware(load("hardware", lower))


_MAKERS = {"nvidia", "geforce", "rtx", "tesla", "amd", "instinct", "radeon", "rx", "apple", "intel", "arc"}
_MAKERS |= {"google", "cloud", "aws"}
_FORMS = {"gpu", "generation", "tensor", "core", "sxm", "sxm2", "sxm4", "sxm5", "sxm6", "hbm2", "hbm2e", "hbm3", "hbm3e"}
_FORMS |= {"blackwell", "server", "edition", "graphics"}


def _bare(name: str) -> str:
    """A name without makers, forms, memory and blanks, which people write in many ways; 40 GB stays, for A100s come with 80 too.

    >>> _bare("NVIDIA H100 80GB HBM3"), _bare("RTX4090"), _bare("A100-40GB")
    ('h100', '4090', 'a10040gb')
    """
    words = re.findall("[a-z0-9]+", name.lower().replace("rtx", "rtx "))
    return "".join(word for word in words if word not in _MAKERS | _FORMS and not re.fullmatch("(?!40)[0-9]+gb", word))


def is_hardware(name: str) -> bool:
    """Whether an accelerator is called so, a plugin's that cannot be read among them."""
    known = {*names("hardware"), *hardware_aliases()}
    return plugins.file("hardware", name.lower()) is not None or _bare(name) in map(_bare, known)


def load_accelerators(text: str) -> tuple[Hardware, int | None]:
    """An accelerator, and how many, where it is said: 2xh100, h100:2, h100x2; auto: those of this machine. Raises InputError.

    >>> [found and (found[0].name, found[1]) for found in map(load_accelerators, ("8 x H100", "h100:8", "h100x8", "h100"))]
    [('h100', 8), ('h100', 8), ('h100', 8), ('h100', None)]
    >>> load_accelerators("7900xtx")[0].name, load_accelerators("2x3060")[1]
    ('rx-7900-xtx', 2)
    """
    if text.strip().lower() == "auto":
        from llmcx.catalog.detect import detected

        name, count = detected()
        return load_hardware(name), count
    own = text.strip()
    match = re.fullmatch(r"(?P<number>\d{1,7})\s*[x×*]\s*(?P<name>\S.*)", own, re.IGNORECASE)
    match = match or re.fullmatch(r"(?P<name>\S.*?):(?P<number>\d{1,7})", own)
    behind = re.fullmatch(r"(?P<name>\S.*?)\s*[x×](?P<number>\d{1,7})", own, re.IGNORECASE)
    match = match or (behind if behind is not None and is_hardware(behind["name"]) else None)
    if match is None or is_hardware(own):  # 7900xtx is one card
        return load_hardware(own), None
    number, name = match["number"], match["name"]
    if int(number) < 1:
        raise InputError(f"--hardware is {text}, but must name at least one accelerator", field="hardware", value=text)
    return load_hardware(name), int(number)


def listed() -> tuple[list[Hardware], list[str]]:
    """Every accelerator by maker and name, plugins' included, and a note on each of those."""
    known = [load_hardware(name) for name in names("hardware")]
    own = {*names("hardware"), *hardware_aliases()}
    files, notes = plugins.files("hardware")
    for file in files:
        if file.name in own:
            notes.append(file.passed_over())
            continue
        try:
            known.append(load_hardware(file.name))
        except InputError as error:
            notes.append(error.message)
        else:
            notes.append(file.had())
    return sorted(known, key=lambda one: (one.vendor.lower(), one.name)), notes
