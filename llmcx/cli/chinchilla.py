"""llmcx chinchilla."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, cast

from llmcx import units
from llmcx.catalog import data as catalog
from llmcx.catalog.build import as_data, to_yaml
from llmcx.catalog.index import names
from llmcx.cli.accelerator import accelerators
from llmcx.cli.models import Models, describe
from llmcx.cli.options import command, completing, explaining, flag_of, heading, option, single
from llmcx.errors import InputError, unknown_name
from llmcx.model.spec import ModelSpec
from llmcx.report.render import Item
from llmcx.scaling import accounting as counting
from llmcx.scaling import optimum as core
from llmcx.scaling import standing as standings
from llmcx.scaling.laws import Law

app = single()

COUNTS = ("exact", "6nd", "appendix-f")
TRAINED_AT = 8192
"""Tokens per sequence taken where a model's context is longer and --seq is not given: long contexts are trained last and
briefly.
"""


@dataclass(frozen=True)
class Budget:
    """What there is to spend: one of these. All but the first three are FLOPs of --hardware at --mfu."""

    compute: Annotated[int | None, option("Training FLOPs, e.g. 5.76e23.", reads="count")] = None
    params: Annotated[int | None, option("Parameters of the model, e.g. 70B; with --tokens: a trained model.", reads="count")] = (
        None
    )
    tokens: Annotated[int | None, option("Training tokens, e.g. 1.4T. Of a preset: default as published.", reads="count")] = None
    gpu_hours: Annotated[int | None, option("GPU-hours.", reads="count")] = None
    dollars: Annotated[int | None, option("USD, at --price per GPU-hour.", reads="count")] = None
    days: Annotated[float | None, option("Days on --gpus.", reads="number")] = None
    gpus: Annotated[int | None, option("GPUs of --days.", reads="count", needs="days")] = None
    hardware: Annotated[str | None, option("The accelerator. Default: h100.", offers=completing("hardware"))] = None
    mfu: Annotated[float | None, option("Share of the dense 16-bit peak that the run uses. Default: 0.4.", reads="share")] = None
    price: Annotated[
        float | None, option("USD per GPU-hour. Default: the accelerator's, dated.", reads="number", needs="dollars")
    ] = None

    def amounts(self) -> dict[str, float]:
        """Those given, as numbers."""
        names = ("compute", "params", "tokens", "gpu_hours", "dollars", "days")
        amounts = {name: float(value) for name in names if (value := getattr(self, name)) is not None}
        if not amounts.keys() & {"gpu_hours", "dollars", "days"}:
            for name in ("hardware", "mfu"):
                if (value := getattr(self, name)) is not None:
                    problem = f"--{name} turns --gpu-hours, --dollars or --days into FLOPs, and none of them is given"
                    raise InputError(problem, field=name, value=value)
        return amounts

    def spend(self) -> tuple[dict[str, float], dict[str, Any], list[str]]:
        """Exactly one amount as what a law is asked with: compute, params or tokens; the inputs; where prices come from."""
        given = self.amounts()
        if len(given) != 1:
            problem = "give exactly one of --compute, --params, --tokens, --gpu-hours, --dollars and --days"
            more = " or a model" if not given else f", not {' and '.join(map(flag_of, given))}"
            raise InputError(problem + more, field="compute", allowed="exactly one")
        [(kind, value)] = given.items()
        if (self.gpus is None) != (kind != "days"):
            raise InputError("--days and --gpus go together", field="gpus")
        if kind in ("compute", "params", "tokens"):
            return given, dict(given), []
        machine = accelerators(self.hardware or "h100").hardware
        mfu = 0.4 if self.mfu is None else self.mfu
        peak = machine.flops(machine.dtype)
        inputs: dict[str, Any] = {**given, "hardware": machine.name, "mfu": mfu}
        rate = f"{peak / 1e12:g} TFLOP/s dense {machine.dtype}"
        notes = [f"{machine.title}: {rate} ({machine.source_of('dense_tflops')}), MFU {mfu:g}"]
        hours = value
        if kind == "dollars":
            inputs["price"] = self.price
            if self.price is None and machine.usd_per_hour is not None:
                inputs["price"] = machine.usd_per_hour.usd
                notes.append(machine.usd_per_hour.stated())
            if inputs["price"] is None:
                raise InputError(f"{machine.title} has no price here; give --price in USD per hour", field="price")
            hours = core.dollar_hours(value, inputs["price"])
        elif kind == "days":
            inputs["gpus"] = self.gpus
            hours = core.day_hours(value, self.gpus or 0)
        return {"compute": core.gpu_compute(hours, peak, mfu)}, inputs | {"hours": hours}, notes


@dataclass(frozen=True)
class Beyond:
    """What else should count."""

    unique_tokens: Annotated[int | None, option("Unique tokens that exist; more are repeats.", reads="count")] = None
    inference_tokens: Annotated[int | None, option("Tokens served over the lifetime.", reads="count")] = None
    compare: Annotated[list[int] | None, option("Model sizes at this compute, e.g. 280B,70B.", reads="count", whole=True)] = None
    shape: Annotated[bool, option("A real shape near each optimum, as a preset in --json.", "--shape")] = False
    out: Annotated[str | None, option("Write that shape as a preset file (one --law).", reads="text", metavar="FILE")] = None

    def add(self, result: standings.Advice, laws: list[Law], k: float, vocab: int, gated: bool) -> Iterator[str]:
        """Put their results beside ``result["laws"]``; yields notes."""
        found = list(zip(laws, result["laws"], strict=True))
        fitted = [(one, best) for one, best in found if one.form == "parametric"]
        if self.unique_tokens is not None:
            unique = float(self.unique_tokens)
            chosen = [(one, best) for one, best in fitted if one.repetition is not None]
            if not chosen:
                raise InputError("none of these laws knows repeated data; --law muennighoff does", field="unique_tokens")
            result["constrained"] = [standings.constrained(one, best.compute, unique, k) for one, best in chosen]
        if self.inference_tokens is not None:
            served = float(self.inference_tokens)
            result["lifetime"] = [standings.lifetime(one, best, served, k) for one, best in fitted]
            yield "serving a token costs a third of training on it: 2 N against 6 N FLOPs, at equal utilisation"
        if self.compare is not None:
            sizes = [float(size) for size in self.compare]
            result["equal_compute"] = [core.at_equal_compute(one, best.compute, sizes, k) for one, best in fitted]
        if self.shape or self.out is not None:
            dense = [(one, best) for one, best in found if one.parameters != "active"]
            from llmcx.answers.architecture import architecture

            shapes = [(one, architecture(best.params, vocab, counts=one.parameters, gated=gated)) for one, best in dense]
            result["shapes"] = [_shape_of(one, shape) for one, shape in shapes]
            if self.out is not None:
                if len(shapes) != 1:
                    raise InputError("--out writes one preset, so it needs one --law", field="out", value=self.out)
                with open(self.out, "w", encoding="utf-8") as file:
                    file.write(to_yaml(shapes[0][1].spec))


def _shape_of(law: Law, shape: Any) -> standings.LawShape:
    figures = {key: value for key, value in vars(shape).items() if key != "spec"}
    return cast("standings.LawShape", {"law": law.name, **figures, "preset": as_data(shape.spec)})


@command(app, "chinchilla")
def chinchilla(
    models: Models,
    budget: Budget,
    beyond: Beyond,
    law: Annotated[
        list[str] | None, option("A law by name, or a law file; repeat. Default: all.", whole=True, offers=completing("laws"))
    ] = None,
    count: Annotated[str | None, option("FLOPs of a model: exact (default), 6nd or appendix-f.", offers=" ".join(COUNTS))] = None,
    seq: Annotated[int | None, option("Tokens per training sequence of a model; 8k is 8192.", reads="length")] = None,
) -> Item:
    """Compute-optimal parameters and tokens by published scaling laws, and the loss they predict. All estimates.

    From a budget, the optimum by each law side by side; from a model (a preset, a file, or --params with --tokens), where it
    stands: over- or under-trained, what the optimum would have spared, what inference justifies it.

    \b
    llmcx chinchilla --compute 5.76e23
    llmcx chinchilla --dollars 1M --hardware h100 --mfu 0.4 --law epoch --shape
    llmcx chinchilla --days 30 --gpus 1024 --hardware h200
    llmcx chinchilla gpt3
    llmcx chinchilla llama-3-8b --tokens 15T --law epoch
    llmcx chinchilla --compute 9.26e21 --law muennighoff --unique-tokens 25B
    llmcx chinchilla --params 13B --law hoffmann-3 --inference-tokens 2T
    llmcx chinchilla --compute 5.76e23 --compare 280B,70B
    """
    of_model = models.model is not None or models.layers is not None or models.d_model is not None
    if not of_model:
        _refuse_a_models(models, beyond, count=count, seq=seq)
    count = count or COUNTS[0]
    if count not in COUNTS:
        raise unknown_name("count", count, list(COUNTS), field="count")
    laws = [catalog.load_law(name) for name in (law if law and law != ["all"] else names("laws"))]
    given = budget.amounts()
    vocab = models.vocab or 32000
    gated = models.ffn != "plain"
    if of_model:
        if set(given) - {"tokens"}:
            problem = "a model has its own size and budget; beside it give only --tokens"
            raise InputError(problem, field=next(iter(set(given) - {"tokens"})))
        spec, shape, notes = models.load()
        trained = round(given["tokens"]) if given else _published_tokens(spec)
        length = seq if seq is not None else min(spec.context or TRAINED_AT, TRAINED_AT)
        counted = counting.accounting(spec, trained, length)
        compute = {"exact": counted.exact, "6nd": counted.six_nd, "appendix-f": counted.appendix_f}[count]
        result, about = standings.of_model(laws, counted, compute)
        about += beyond.add(result, laws, compute / (counted.active * trained), vocab, gated)
        if counted.active < counted.params:
            active = f"{counted.active:,} parameters active for a token"
            about.append(f"{spec.name}: these laws are of dense models; N is the {active}")
        inputs = {"tokens": trained, "seq": length, "count": count, **shape}
        item = _item(describe(spec), inputs, result, about + notes, laws, "compute", spec)
    elif set(given) == {"params", "tokens"}:
        n, d = given["params"], given["tokens"]
        result, notes = standings.placed(laws, [n] * len(laws), d, core.training_compute(n, d))
        notes += beyond.add(result, laws, core.FLOPS_PER_PARAM_TOKEN, vocab, gated)
        item = _item(None, dict(given), result, notes, laws, "compute")
    else:
        sought, inputs, notes = budget.spend()
        result = standings.Advice(laws=[core.optimum(one, **sought) for one in laws])
        notes += beyond.add(result, laws, core.FLOPS_PER_PARAM_TOKEN, vocab, gated)
        notes = ["estimates: fits to other people's runs; C = 6 N D", *notes]
        item = _item(None, inputs, result, notes, laws, next(iter(sought)))
    best = result["laws"]

    def curves() -> list[tuple[str, list[tuple[float, float]]]]:
        return [core.isoflop(one, top) for one, top in zip(laws, best, strict=True) if one.form == "parametric"]

    return item._replace(more=curves)


def _refuse_a_models(models: Models, beyond: Beyond, **options: Any) -> None:
    """Refuse what counts for a model, where none is named: --shape alone makes one, of which the vocabulary and feed-forward are
    asked.
    """
    made = ("vocab", "ffn") if beyond.shape or beyond.out is not None else ()
    for name, value in (options | models.shape()).items():
        if value is not None and name not in made:
            problem = f"{flag_of(name)} changes nothing without a model: name one, or leave it out"
            raise InputError(problem, field=name, value=value)


def _published_tokens(spec: ModelSpec) -> int:
    if spec.training_tokens is None:
        raise InputError(f"{spec.name} does not state its training tokens; give --tokens", field="tokens")
    return units.count(spec.training_tokens, "training_tokens")


def _item(
    model: dict[str, Any] | None,
    inputs: dict[str, Any],
    result: standings.Advice,
    notes: list[str],
    laws: list[Law],
    sought: str,
    spec: ModelSpec | None = None,
) -> Item:
    """An answer by ``laws``, found from ``sought``: compute, params or tokens."""
    best = result["laws"]
    if not all(one.in_range for one in best):
        notes.append("not in range: fitted to other budgets and extrapolated (its `warning` in --json says how far)")
    meanings = {"non-embedding": "* N without embeddings", "active": "† N active, without embeddings"}
    marks = [text for kind, text in meanings.items() if any(one.counts == kind for one in best)]
    notes += ["; ".join(marks)] if marks else []
    return Item(
        model,
        inputs,
        result,
        notes,
        explaining("chinchilla", laws, result, sought, spec),
        head=heading("chinchilla", model, inputs, result),
    )
