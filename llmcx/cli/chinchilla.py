"""llmcx chinchilla."""

from typing import Annotated

import typer

from llmcx.cli.options import Output, command, completing, single
from llmcx.core import scaling as core
from llmcx.core.errors import InputError
from llmcx.report.render import Item
from llmcx.spec import catalog, units

app = single()


@command(app)
def chinchilla(
    output: Output,
    compute: Annotated[str | None, typer.Option(help="Training FLOPs, e.g. 5.76e23.")] = None,
    params: Annotated[str | None, typer.Option(help="Parameters of the model, e.g. 70B.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Training tokens, e.g. 1.4T.")] = None,
    gpu_hours: Annotated[str | None, typer.Option(help="GPU-hours on --hardware at --mfu.")] = None,
    hardware: Annotated[str, typer.Option(help="Accelerator of --gpu-hours.", autocompletion=completing("hardware"))] = "h100",
    mfu: Annotated[float, typer.Option(help="Share of the dense bf16 peak that the run uses.")] = 0.4,
    law: Annotated[
        list[str] | None, typer.Option(help="A law by name; repeat. Default: all.", autocompletion=completing("laws"))
    ] = None,
    compare: Annotated[str | None, typer.Option(help="Model sizes at this compute, e.g. 280B,70B.")] = None,
) -> None:
    """Compute-optimal parameters and tokens by published scaling laws, and the loss they predict. All estimates.

    Give exactly one of --compute, --params, --tokens and --gpu-hours. Compute is 6 N D.

    \b
    llmcx chinchilla --compute 5.76e23
    llmcx chinchilla --params 70B --law epoch
    llmcx chinchilla --gpu-hours 1M --hardware h100 --mfu 0.4
    llmcx chinchilla --compute 5.76e23 --compare 280B,70B
    """
    given = {"compute": compute, "params": params, "tokens": tokens, "gpu_hours": gpu_hours}
    stated = {key: units.count(text, f"--{key.replace('_', '-')}") for key, text in given.items() if text is not None}
    if len(stated) != 1:
        raise InputError(
            f"give exactly one of --compute, --params, --tokens and --gpu-hours, not {' and '.join(stated) or 'none'}",
            field="compute",
            allowed="exactly one",
        )
    inputs: dict[str, object] = dict(stated)
    sought: dict[str, float] = {key: float(value) for key, value in stated.items()}
    notes = ["estimates: fits to other people's runs; N D C in parameters, tokens and FLOPs, C = 6 N D"]
    if "gpu_hours" in sought:
        machine = catalog.load_hardware(hardware)
        peak = machine.flops(machine.dtype)
        inputs |= {"hardware": hardware, "mfu": mfu}
        sought = {"compute": core.gpu_compute(sought["gpu_hours"], peak, mfu)}
        notes.append(f"{machine.title}: {peak / 1e12:g} TFLOP/s dense {machine.dtype} ({machine.source_of('dense_tflops')})")
    laws = [catalog.load_law(name) for name in (law if law and law != ["all"] else catalog.names("laws"))]
    found = [core.optimum(one, **sought) for one in laws]
    result: dict[str, object] = {"laws": found}
    if compare is not None:
        sizes = [float(size) for size in units.many(compare, units.count, "--compare")]
        fitted = [(one, best) for one, best in zip(laws, found, strict=True) if one.form == "parametric"]
        result["equal_compute"] = [core.at_equal_compute(one, best.compute, sizes) for one, best in fitted]
        inputs["compare"] = sizes
    if not all(best.in_range for best in found):
        notes.append(
            "not in range: the law was fitted to other budgets and is extrapolated (its `warning` in --json says how far)"
        )
    lines = [line._replace(component=f"{best.law} {line.component}") for best in found for line in best.lines]
    output.show("chinchilla", [Item(None, inputs, result, notes, lines)])
