"""The rows of a server whose layers are in stages: what lies between two tokens, the slowest stage's part, and a prompt's way."""

from __future__ import annotations

from typing import Any

from llmcx.answers import Line
from llmcx.answers.load import Load
from llmcx.engines import closed_loop, pipelined
from llmcx.engines.serving_time import Server
from llmcx.explain.rows import serve
from llmcx.explain.written import told, written

_STAGES = "llmcx/engines/pipelined.py: stages and groups of users, held to a simulation"


def step(name: str, server: Server, load: Load, users: int) -> list[Line]:
    """A turn of all groups, then a step of the stage that takes longest."""
    tokens = 1 + load.speculation.drafted
    turn = pipelined.turn(server, users, load.context, tokens)
    many = f"{users:,} user{'s' * (users > 1)}"
    stages = " + ".join(f"{number}·{one.total:.9g}" if number > 1 else f"{one.total:.9g}" for one, number in turn.steps)
    longest = pipelined.slowest(turn.steps).total
    numbers = f"max({stages} + {turn.sent:.9g}, {turn.groups}·{longest:.9g})"
    formula = "max(Σ stages + what is sent, groups of users·the slowest stage)"
    where = f"{turn.groups} groups of {turn.users:,}; layers of the stages: {layers(server)}"
    title = f"{name}: between two tokens of each of {many} at context {load.context:,}, s"
    found = [Line(title, formula, numbers, turn.step.total, _STAGES, where)]
    slow = max(server.stages, key=lambda one: one[0].decode(turn.users, load.context, tokens).total)[0]
    what = f"{name}, the slowest stage"
    return [*found, *serve.step(what, slow, load, turn.users)]


def layers(server: Server) -> str:
    """Of each stage that differs, and how many there are like it."""
    return ", ".join(f"{many} with {one.layers}" for one, many in server.stages)


def first(server: Server, load: Load, users: int, step: float) -> tuple[serve.Pair, tuple[str, str, float]]:
    """Formula and numbers of the seconds to the first token, and of what a prompt adds to the time between tokens."""
    new, pp = load.prompt - load.cached, server.setup.pp
    if server.bands() is not None:
        besides, of_prompt = server.riding(load.prompt, load.cached, load.output, users, step, load.chunk)
        names = "pass of the slowest stage", "step", "users", "output", "together", "pass of the others", "stages"
        waits = written(besides, "request") + closed_loop.first_token(*map(written, map(float, of_prompt), names))
        of = pipelined.added(server, load.prompt, load.cached, users, load.context)
        chance = f"(1 - exp(-{of.come!r})) / {of.come!r}·max(0, 1 - {of.come!r} / {of.room:.9g})"
        numbers = f"({of.longest:.9g} + ({of.whole:.9g} - {of.longest:.9g}) / {of.pieces}·{chance}) / {of.many}"
        alone = "(1 - exp(-n)) / n·max(0, 1 - n / room)"
        formula = f"(slowest stage + (all stages - slowest stage) / pieces·{alone}) / prompts in a pass; n prompts come in a turn"
        return told(waits), (formula, numbers, of.seconds)
    value: Any = written(server.alone(load.prompt, load.cached, load.chunk)[0], "pass")
    if load.chunk is not None:
        each = written(step, "step") / written(pp, "stages")
        value = max(value, -(-new // load.chunk) * each + (written(step, "step") - each))
    seconds = server.prompt(load.prompt, load.cached, users, load.context)
    many = server.in_a_pass(new, users, server.budget)
    between = server.decode(users, load.context).total
    stage = max(
        stage.counted_pass(load.prompt, load.cached, many).flops + stage.counted_step(users, load.context).flops
        for stage, _ in server.stages
    )
    numbers = f"max(0, {stage:.9g} / {server.machine.matmul:.9g} - {between:.9g}) / {many}"
    formula = "max(0, FLOPs of prompts and steps on a stage / rate - turn) / prompts in a pass"
    return told(value), (formula, numbers, seconds)
