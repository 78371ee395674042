"""What every plan over accelerators declares and reads alike: which they are, their prices, how sure an answer has to be."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from llmcx import units
from llmcx.cli.accelerator import accelerators
from llmcx.cli.options import completing, option
from llmcx.engines import efficiency as efficiencies
from llmcx.errors import InputError
from llmcx.machine.hardware import Hardware

Chips = Annotated[
    list[str],
    option("h100, or several to choose from: h100,h200,b200.", offers=completing("hardware"), whole=True),
]
Prices = Annotated[
    list[float] | None,
    option("USD per accelerator-hour, one for each --hardware. Default: theirs, dated.", reads="number", whole=True),
]
Confidence = Annotated[
    float | None,
    option("0.9: hold the upper end of the 10-90% ranges to the limits. Default: the estimate.", reads="share"),
]
SURE = 0.9


class Chip(NamedTuple):
    """An accelerator as it was named, what it is, USD per hour, and what to say of that."""

    text: str
    hardware: Hardware
    usd_per_hour: float | None
    dated: list[str]


def check_confidence(confidence: float | None, measured: str) -> None:
    """Refuse a confidence that measurements do not give."""
    if confidence is not None and confidence != SURE:
        problem = f"--confidence is {confidence:g}, but {measured} say where nine of ten lie; give 0.9, or leave it out"
        raise InputError(problem, field="confidence", value=confidence, allowed="0.9")


def between(gpus: str, most: int) -> tuple[int, int]:
    """The fewest and the most GPUs of a search that goes up to ``most``."""
    within = units.between(gpus, "--gpus")
    if within[1] > most:
        raise InputError(f"--gpus is {gpus}, but a search goes up to {most:,}", field="gpus", value=gpus)
    return within


def chips(hardware: Sequence[str] | str, price: Sequence[float] | None) -> Iterator[Chip]:
    """Each accelerator with its price. Raises InputError for a count in front, and for prices that are not one for each."""
    named = [hardware] if isinstance(hardware, str) else hardware
    if price is not None and len(price) != len(named):
        problem = f"--price names {len(price)}, but --hardware {len(named)}; give one for each"
        raise InputError(problem, field="price", allowed=f"{len(named)} numbers")
    for at, text in enumerate(named):
        chip, number = accelerators(text)
        if number is not None:
            problem = f"--hardware is {text}, but how many are used is searched; give {chip.name}, and --gpus {number}"
            raise InputError(problem, field="hardware", value=text)
        cost, dated = efficiencies.price(chip, None if price is None else price[at])
        if cost is None and len(named) > 1:
            problem = f"no price of {chip.title} is known, and several accelerators are compared by theirs; give --price"
            raise InputError(problem, field="price")
        yield Chip(text, chip, cost, dated)
