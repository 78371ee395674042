"""What --hardware, --budget and --utilization say together: an accelerator, how many, and the memory that may be used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from llmcx.engines import Engine, engine
from llmcx.errors import InputError
from llmcx.model.spec import ModelSpec

if TYPE_CHECKING:
    from llmcx.machine.hardware import Hardware


class Accelerators(NamedTuple):
    """``count`` of them where the text says so."""

    hardware: Hardware
    number: int | None


def accelerators(text: str) -> Accelerators:
    """2xh100, h100, a YAML file, or "auto" for those of this machine. Raises InputError."""
    from llmcx.catalog.data import load_accelerators

    return Accelerators(*load_accelerators(text))


def with_memory(hardware: Hardware, usable: int) -> Hardware:
    """An accelerator of which ``usable`` bytes may be used."""
    from llmcx.machine.hardware import GB

    return replace(hardware, memory_gb=usable / GB, physical=None)


class Limit(NamedTuple):
    """Bytes on each GPU that may be used, of which accelerator, and how many are there."""

    bytes: int | None = None
    hardware: Hardware | None = None
    number: int | None = None
    utilization: float = 1.0


def limit(
    hardware: str | None, budget: int | None, utilization: float | None, usual: float = Engine.utilization, by_torch: bool = False
) -> Limit:
    """The memory to fit into: ``budget``, else the accelerator's (``by_torch``: as torch sees it); of which the share
    ``utilization`` (``usual``) is used.

    Raises InputError for a share that is none, or of nothing.
    """
    found = None if hardware is None else accelerators(hardware)
    of = budget
    if of is None and found is not None:
        of = found.hardware.visible_bytes if by_torch else found.hardware.memory_bytes
    if utilization is not None and of is None:
        problem = "--utilization is a share of an accelerator's memory, and none is named; give --hardware or --budget"
        raise InputError(problem, field="utilization", value=utilization)
    share = (1.0 if budget is not None else usual) if utilization is None else utilization
    if not 0 < share <= 1:
        raise InputError(f"--utilization is {share}, but must be above 0 and at most 1", field="utilization", value=share)
    usable = None if of is None else int(of * share) if share < 1 else of
    return Limit(usable, found and found.hardware, found and found.number, share)


def serving(
    named: str, hardware: str | None, budget: int | None, utilization: float | None, sizes: dict[str, Any]
) -> tuple[Limit, Engine]:
    """The memory to fit into, and the inference engine ``named`` that does, with those of ``sizes`` that are given."""
    given = {name: value for name, value in sizes.items() if value is not None}
    program = engine(named, **given)
    within = limit(hardware, budget, utilization, program.utilization, program.name in ("vllm", "sglang", "trtllm"))
    if program.name == "vllm" and within.bytes is not None:
        from llmcx.engines.vllm import VLLM, defaults

        assert isinstance(program, VLLM)
        chip = within.hardware
        memory = chip.memory_bytes if chip is not None and budget is None else within.bytes
        usual = defaults(memory, chip.name if chip else "", program.version)
        links = chip.scale_up.link if chip is not None and chip.scale_up is not None else ""
        program = VLLM(**{**usual, **given}, version=program.version, hosted=links.startswith("PCIe"))
    return within, program


def looking(program: Engine, spec: ModelSpec, seq: int) -> tuple[Engine, list[str]]:
    """vLLM with what it looks at when it starts, for prompts of ``seq`` tokens that may show anything; and what is to be said."""
    if program.name != "vllm" or not any(tower.fed == "image" for tower in spec.towers):
        return program, []
    from llmcx.engines.vllm import VLLM
    from llmcx.engines.vllm_lines import read
    from llmcx.engines.vllm_pictures import EVERY, tried

    assert isinstance(program, VLLM)
    step, number = program.pass_tokens(1, seq), read(program.version) or program.line.last
    of = tried(spec, seq if program.line.shown else step, step, version=number, most=program.max_num_seqs * EVERY)
    if of is None or program.line.by_length:
        return program, ["not counted: the memory of the images that vLLM tries when it starts"]
    return replace(program, pictures=of), []


def settled(
    within: Limit,
    program: Engine,
    spec: ModelSpec,
    gpus: int,
    budget: int | None,
    utilization: float | None,
    sizes: dict[str, Any],
    tp: int | None = None,
) -> tuple[Limit, Engine]:
    """The same for ``spec`` on ``gpus``, of which ``tp`` (all) share a layer: where an engine's share is not one of the whole
    memory, all of it is to fit into, and the engine keeps the rest; what it takes by default depends on the memory, the GPUs
    and the model.
    """
    if program.name not in ("sglang", "trtllm"):
        return within, program
    given = {name: value for name, value in sizes.items() if value is not None}
    if within.bytes is None:
        return within, program
    of = within.hardware if budget is None else None
    seen = int(within.bytes / within.utilization) if of is None else of.visible_bytes
    share = within.utilization
    if program.name == "sglang":
        from llmcx.engines.sglang import defaults, fraction

        memory = seen if of is None else of.memory_bytes
        chunk, graphs = defaults(memory, tp or gpus)
        chunk, graphs = given.get("max_num_batched_tokens", chunk), min(given.get("max_num_seqs", graphs), graphs)
        given |= {"max_num_batched_tokens": chunk, "max_num_seqs": graphs}
        if utilization is None:
            latent = any(getattr(layer.mixer, "type", "") == "mla" for layer in spec.kinds.values())
            share = fraction(memory, chunk, graphs, gpus, latent)
    program = engine(program.name, **given)
    return within._replace(bytes=seen, utilization=share), replace(program, memory=seen, share=share)  # type: ignore[type-var]
