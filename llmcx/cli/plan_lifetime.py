"""llmcx plan lifetime."""

from collections.abc import Sequence
from typing import Annotated, Any

from llmcx.answers import plan_lifetime as answers
from llmcx.catalog import data as catalog
from llmcx.catalog.index import names
from llmcx.cli.accelerator import accelerators
from llmcx.cli.options import completing, explaining, heading, option
from llmcx.engines import efficiency as efficiencies
from llmcx.errors import InputError, check_size, unknown_name
from llmcx.machine.hardware import Hardware
from llmcx.report.render import Item


def lifetime(
    inference_tokens: Annotated[
        int | None, option("Tokens served over the lifetime, prompts and answers: 2T.", reads="count")
    ] = None,
    params: Annotated[int | None, option("As good as the training optimum of so many parameters: 13B.", reads="count")] = None,
    loss: Annotated[float | None, option("Or: of this loss, by one --law.", reads="number")] = None,
    compute: Annotated[int | None, option("Or: as good as so many training FLOPs make a model: 1e24.", reads="count")] = None,
    law: Annotated[
        list[str] | None,
        option("A law by name, or a law file; repeat. Default: all that state a loss.", whole=True, offers=completing("laws")),
    ] = None,
    hardware: Annotated[
        list[str] | None,
        option(
            "What serves: h100, or several: h100,b200. Default: FLOPs are counted, not dollars.",
            offers=completing("hardware"),
            whole=True,
        ),
    ] = None,
    dtype: Annotated[
        list[str] | None,
        option(
            "In which weights are served: bf16, fp8, int8, int4. Default: bf16 and fp8.",
            offers="answers.plan_lifetime:FORMATS",
            whole=True,
            needs="hardware",
        ),
    ] = None,
    prompt: Annotated[
        int, option("Tokens of a prompt, of which with --output the shares follow.", reads="length", needs="hardware")
    ] = 1024,
    output: Annotated[int, option("Tokens of an answer.", reads="length", needs="hardware")] = 1024,
    price: Annotated[
        list[float] | None,
        option("USD per hour of each --hardware. Default: theirs, dated.", reads="number", whole=True, needs="hardware"),
    ] = None,
    prefill_mfu: Annotated[float, option("Share of the peak that prompts reach.", reads="share", needs="hardware")] = 0.5,
    decode_mfu: Annotated[float, option("Share of the peak that answers reach.", reads="share", needs="hardware")] = 0.05,
    train_hardware: Annotated[
        str | None,
        option(
            "What trains. Default: of those that serve the one that trains cheapest.",
            offers=completing("hardware"),
            needs="hardware",
        ),
    ] = None,
    train_price: Annotated[
        float | None, option("USD per hour of it. Default: its own, dated.", reads="number", needs="hardware")
    ] = None,
    mfu: Annotated[float, option("Share of the dense 16-bit peak that training reaches.", reads="share", needs="hardware")] = 0.4,
) -> Item:
    """The model of a quality that costs least to train and then serve: size, tokens, format, accelerator. All estimates.

    \b
    llmcx plan lifetime --params 13B --inference-tokens 2T
    llmcx plan lifetime --params 70B --inference-tokens 10T --hardware h100,b200 --dtype bf16,fp8,int4
    llmcx plan lifetime --loss 1.947 --inference-tokens 2T --law hoffmann-3
    """
    given = {name: value for name, value in (("params", params), ("loss", loss), ("compute", compute)) if value is not None}
    if len(given) != 1:
        which = "none" if not given else " and ".join(given)
        problem = f"how good the model is to be is said by exactly one of --params, --loss and --compute, not {which}"
        raise InputError(problem, field="params", allowed="exactly one")
    if inference_tokens is None:
        raise InputError("--inference-tokens is missing: how much is served over the lifetime", field="inference_tokens")
    for name, value in (("prompt", prompt), ("output", output)):
        check_size(name, value)
    laws = _laws(law, loss)
    for name, share in (("mfu", mfu), ("prefill_mfu", prefill_mfu), ("decode_mfu", decode_mfu)):
        if not 0 < share <= 1:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} is {share:g}, but must be above 0 and at most 1", field=name, value=share)
    formats = dtype or ["bf16", "fp8"]
    for name in formats:
        if name not in answers.FORMATS:
            raise unknown_name("format to serve in", name, list(answers.FORMATS), field="dtype")
    shares = (mfu, prefill_mfu, decode_mfu)
    places, notes = _places(hardware or [], price, train_hardware, train_price, shares)
    asked = {name: float(value) for name, value in given.items()}
    best = [(one, answers.quality(one, **asked)) for one in laws]
    demand = answers.Demand(float(inference_tokens), prompt / (prompt + output))
    result = answers.plan(best, demand, places, formats)
    inputs: dict[str, Any] = {**given, "inference_tokens": inference_tokens, "law": [one.name for one in laws]}
    if places:
        inputs |= {"hardware": [place.serve.name for place in places], "dtype": formats, "prompt": prompt, "output": output}
        inputs |= {"price": [place.price for place in places], "prefill_mfu": prefill_mfu, "decode_mfu": decode_mfu}
        inputs |= {"train_hardware": places[0].train.name, "train_price": places[0].train_price, "mfu": mfu}
    about = ["estimates: fits to other people's runs; 6 N FLOPs a token trained, 2 N a token served"]
    if places:
        about.append("what a format does to answers is in no law; nor is it here")
        low, high = answers.SERVING_BAND
        about.append(f"ranges: training as measured runs scatter, serving an assumed {low:g} to {high:g} times")
    if not all(each.in_range for each in result.choices):
        about.append("not in range: laws fitted to other budgets and extrapolated (`warning` in --json says how far)")
    head = heading("plan_lifetime", inputs, result)
    lines = explaining("plan_lifetime", best, demand, places, result)
    return Item(None, inputs, result, [*about, *notes], lines, head=head)


def _laws(law: list[str] | None, loss: float | None) -> list[Any]:
    """Those asked for, or all that state a loss."""
    if law and law != ["all"]:
        laws = [catalog.load_law(name) for name in law]
    else:
        laws = [one for one in map(catalog.load_law, names("laws")) if one.form == "parametric"]
    if loss is not None and len(laws) != 1:
        problem = "a loss is one law's, on the data that it was fitted to; give one --law"
        raise InputError(problem, field="law", allowed="one law")
    return laws


def _places(
    hardware: Sequence[str],
    price: Sequence[float] | None,
    train_hardware: str | None,
    train_price: float | None,
    shares: tuple[float, float, float],
) -> tuple[list[answers.Where], list[str]]:
    """Each accelerator to serve on, with the one to train on, and where their prices are from."""
    if not hardware:
        return [], []
    if price is not None and len(price) != len(hardware):
        problem = f"--price names {len(price)}, but --hardware {len(hardware)}; give one for each"
        raise InputError(problem, field="price", allowed=f"{len(hardware)} numbers")
    serving, notes = [], []
    for at, text in enumerate(hardware):
        serves = _one(text, "hardware")
        cost, words = _price(serves, None if price is None else price[at], "price")
        notes += words
        serving.append((serves, cost))
    if train_hardware is None:
        trains, of = min(serving, key=lambda each: each[1] / each[0].flops(each[0].dtype))
        of = of if train_price is None else train_price
    else:
        trains = _one(train_hardware, "train_hardware")
        known = next((cost for chip, cost in serving if chip.name == trains.name), None)
        of, words = _price(trains, known if train_price is None else train_price, "train_price")
        notes += words
    found = [answers.Where(trains, serves, of, cost, *shares) for serves, cost in serving]
    return found, list(dict.fromkeys(notes))


def _one(text: str, field: str) -> Hardware:
    chip, number = accelerators(text)
    if number is not None and number != 1:
        problem = f"--{field.replace('_', '-')} is {text}, but how many are used changes no cost; give {chip.name}"
        raise InputError(problem, field=field, value=text)
    return chip


def _price(chip: Hardware, stated: float | None, field: str) -> tuple[float, list[str]]:
    cost, words = efficiencies.price(chip, stated)
    if cost is None:
        raise InputError(f"no price of {chip.title} is known; give --{field.replace('_', '-')}", field=field)
    return cost, words
