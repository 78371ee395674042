"""Stages of layers, each on GPUs of its own, that work for different users at the same time: what a token and a prompt take.

The users are in as many groups as there are stages: vLLM has as many steps under way (vllm/config/vllm.py,
max_concurrent_batches), SGLang as many micro-batches (srt/managers/scheduler_pp_mixin.py), and so has TensorRT-LLM
(_torch/pyexecutor/py_executor.py). A group's step goes through one stage after another, so that its next token comes after the
sum of the stages; and a stage works for one group after another, so that it comes no sooner than the slowest stage has served
all of them.

A stage is a :class:`~llmcx.engines.serving_time.Server` of its layers alone. Groups are taken to be equal. Where all layers are
on the same GPUs, a server is its own and only stage (:class:`Alone`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import expm1
from typing import TYPE_CHECKING, NamedTuple

from llmcx.engines.inference_memory import ACT
from llmcx.errors import InputError
from llmcx.parallel.layout import cut

if TYPE_CHECKING:
    from llmcx.engines.kernel_time import Kernels, Sizes
    from llmcx.engines.serving_time import Asked, Server, ServingStep

TENSORS = 2
"""What goes from a stage to the next, each as wide as the model: hidden states, and the residual that the next norm adds
(vllm/model_executor/models/llama.py, make_empty_intermediate_tensors).
"""
Steps = Sequence["tuple[ServingStep, int]"]
"""Of each stage that differs from the others, and how many there are like it."""


class Hops(NamedTuple):
    """How many of the stages send to the next within a domain of the fast network, and how many beyond it."""

    near: int
    far: int


def hops(pp: int, tp: int, domain: int) -> Hops:
    """GPUs are numbered by stage, those that share a layer next to each other.

    >>> hops(2, 4, 8), hops(2, 8, 8), hops(4, 4, 8)
    (Hops(near=1, far=0), Hops(near=0, far=1), Hops(near=2, far=1))
    """
    far = sum(stage * tp // domain != ((stage + 2) * tp - 1) // domain for stage in range(pp - 1))
    return Hops(pp - 1 - far, far)


class Turn(NamedTuple):
    """What lies between two tokens of a user: ``groups`` of ``users`` go through the ``steps`` of the stages, in ``sent`` seconds
    from each to the next, taken together.
    """

    groups: int
    users: int
    steps: Steps
    sent: float

    @property
    def step(self) -> ServingStep:
        """A pass through all stages, or the slowest one's work for all groups."""
        whole, slow = _sent(summed(self.steps), self.sent), scaled(slowest(self.steps), self.groups)
        return slow if slow.total > whole.total else whole


def turn(server: Server, users: int, context: int, tokens: int = 1) -> Turn:
    """Of an estimate; of the bound, that with the number of groups that is best."""

    def among(groups: int) -> Turn:
        each = share(server, users, groups)
        steps = [(stage.step(each, context, tokens), many) for stage, many in server.stages]
        return Turn(groups, each, steps, server.sent(each * tokens))

    most = groups_of(server, users)
    if server.bands() is not None:
        return among(most)
    return min(map(among, range(1, most + 1)), key=lambda one: one.step.total)


def groups_of(server: Server, users: int) -> int:
    """Of the users; at least one user of each that attends for itself is in a group."""
    return max(1, min(server.setup.pp, users // server.setup.attention_dp))


def share(server: Server, users: int, groups: int) -> int:
    """Users of the largest group."""
    each, apart = cut(users, groups), server.setup.attention_dp
    return cut(each, apart) * apart if each > apart and server.bands() is not None else each


def summed(steps: Steps) -> ServingStep:
    """All stages, one after another."""
    all_ = [[many * part for part in step] for step, many in steps]
    return type(steps[0][0])(*map(sum, zip(*all_, strict=True)))


def slowest(steps: Steps) -> ServingStep:
    """The stage that takes longest."""
    return max((step for step, _ in steps), key=lambda step: step.total)


def scaled(step: ServingStep, by: float) -> ServingStep:
    """So many of it.

    >>> from llmcx.engines.serving_time import ServingStep
    >>> scaled(ServingStep(1.0, 2.0, 0.0, 0.0, 0.5), 2).total
    7.0
    """
    return type(step)(*(by * value for value in step))


def _sent(step: ServingStep, seconds: float) -> ServingStep:
    weights, compute, cache, communication, overhead = step
    return type(step)(weights, compute, cache, communication + seconds, overhead)


def pieces_of(server: Server, new: int, chunk: int | None) -> int:
    """Passes that a prompt of ``new`` tokens takes."""
    return cut(max(1, new), chunk or server.budget)


class Added(NamedTuple):
    """What ``many`` prompts in one pass add to the ``longest`` stage, and to the ``whole`` way through all of them; how many
    prompts ``come`` while each user gets a token, and for how many there is ``room`` in the steps of that time; ``pieces`` of a
    prompt.
    """

    longest: float
    whole: float
    come: float
    room: float
    pieces: int
    many: int

    @property
    def seconds(self) -> float:
        """That a prompt adds to the time between tokens of all users.

        Groups follow each other without a gap, so one that takes longer keeps those behind it waiting at every stage: a pass with
        prompts costs all that it takes on its way. Of several in the same turn only the first does; the next, which goes through
        a stage right behind it, costs what it takes there. So many come in a turn by chance (a Poisson distribution): the first
        of them in (1 - exp(-n)) / n of the cases. Where they fill all steps, these are alike, and none waits. A test holds it to
        a simulation of stages.
        """
        first = -expm1(-self.come) / self.come * max(0.0, 1 - self.come / self.room)
        return (self.longest + (self.whole - self.longest) / self.pieces * first) / self.many


def added(server: Server, prompt: int, cached: int, users: int, context: int) -> Added:
    """By an estimate."""
    groups = groups_of(server, users)
    each = share(server, users, groups)
    many = server.in_a_pass(prompt - cached, each, server.budget)
    passes = [(stage.beyond(prompt, cached, each, context, many), number) for stage, number in server.stages]
    whole = sum(number * seconds for seconds, number in passes) + server.sent(many * max(1, prompt - cached))
    output = max(1, 2 * (context - prompt))  # a step is taken half-way through an answer
    room = groups * server.setup.attention_dp * server.together(prompt - cached, None)
    pieces = pieces_of(server, prompt - cached, None)
    return Added(max(seconds for seconds, _ in passes), whole, users / output, room, pieces, many)


def reached(server: Server) -> Hops:
    """Those of its stages. Raises InputError where no network reaches so far."""
    setup, on = server.setup, server.hardware
    found = hops(setup.pp, setup.tp, on.domain)
    if found.far and on.scale_out is None:
        problem = f"{on.title}: no network beyond {on.domain} of them is known, and this layout spans {setup.gpus:,}"
        raise InputError(problem, field="pp", value=setup.pp, allowed=f"at most {on.domain} GPUs")
    return found


def sent(server: Server, tokens: int) -> float:
    """Seconds in which what a stage is fed comes from the one before, of all stages: each of the GPUs that share a layer sends a
    part over the machine's links.
    """
    on = server.machine
    size = TENSORS * cut(tokens * server.spec.d_model, server.setup.tp) * ACT
    near, far = reached(server)
    seconds = near * (size / on.between(2) + on.efficiency.link_s) if near else 0.0
    seconds += far * (size / on.between(2, on.domain) + on.efficiency.link_s) if far else 0.0
    return seconds * (1 - on.efficiency.hidden_pp)


def links_by_law(server: Server, kernels: Kernels) -> list[tuple[int, Sizes]]:
    """The same by the law of a gather among two GPUs, each of which gets the other's half: how many, and kernels by the elements
    (:func:`gathered`).
    """
    (near, far), domain = reached(server), server.hardware.domain
    return [(many, kernels.sizes("all_gather", (2, stride), (), "")) for many, stride in ((near, 1), (far, domain)) if many]


def gathered(server: Server, tokens: int) -> int:
    """Elements that two GPUs gather of a pass of ``tokens``."""
    return 2 * TENSORS * cut(tokens * server.spec.d_model, server.setup.tp)


class Alone:
    """A server whose layers are all on the same GPUs: a pass of theirs is one of the server's."""

    def decode(self, server: Server, users: int, context: int, tokens: int) -> ServingStep:
        """What lies between two tokens of a user."""
        return server.step(users, context, tokens)

    def asked(self, server: Server, users: int, context: int, tokens: int) -> Asked:
        """The same, with FLOPs and bytes of a GPU, of the slowest stage."""
        return server.counted_step(users, context, tokens)._replace(step=server.step(users, context, tokens))

    def prefill(self, server: Server, prompt: int, cached: int, batch: int) -> ServingStep:
        """Prompts on their way through all layers."""
        return server.prompts_pass(prompt, cached, batch)

    def asked_of_prompts(self, server: Server, prompt: int, cached: int, batch: int) -> Asked:
        """The same, with FLOPs and bytes of a GPU, of the slowest stage."""
        return server.counted_pass(prompt, cached, batch)._replace(step=server.prompts_pass(prompt, cached, batch))

    def alone(self, server: Server, prompt: int, cached: int, batch: int, chunk: int | None) -> float:
        """Seconds of prompts, in pieces of ``chunk``, where nobody decodes."""
        return server.prefill(prompt, cached, batch).total

    def held(self, server: Server, prompt: int, cached: int, alone: float) -> float:
        """Of the seconds of a prompt ``alone``, those for which it keeps others waiting."""
        return alone

    def added(self, server: Server, prompt: int, cached: int, users: int, context: int, chunk: int | None) -> float:
        """Seconds that a prompt, in pieces of ``chunk``, adds to the time between tokens of all users: by an estimate."""
        if chunk is not None and chunk < prompt - cached:
            return server.in_pieces(prompt, cached, users, context, chunk)
        many = server.in_a_pass(prompt - cached, users, chunk or server.budget)
        return server.beyond(prompt, cached, users, context, many) / many

    def added_at_least(self, server: Server, prompt: int, cached: int, users: int, context: int, chunk: int | None) -> float:
        """The same of the bound: what arithmetic for all users and the prompts takes beyond the time between tokens."""
        many = server.in_a_pass(prompt - cached, users, server.budget)
        return max(0.0, _needed(server, prompt, cached, users, context, many) - server.step(users, context, 1).total) / many


class InStages(Alone):
    """A server of several."""

    def decode(self, server: Server, users: int, context: int, tokens: int) -> ServingStep:
        return turn(server, users, context, tokens).step

    def asked(self, server: Server, users: int, context: int, tokens: int) -> Asked:
        of = turn(server, users, context, tokens)
        slow = _slowest(stage.flow.asked(stage, of.users, context, tokens) for stage, _ in server.stages)
        return slow._replace(step=of.step, flops=of.groups * slow.flops, moved=of.groups * slow.moved)

    def prefill(self, server: Server, prompt: int, cached: int, batch: int) -> ServingStep:
        return way(server, prompt, cached, batch, None)

    def asked_of_prompts(self, server: Server, prompt: int, cached: int, batch: int) -> Asked:
        slow = _slowest(stage.flow.asked_of_prompts(stage, prompt, cached, batch) for stage, _ in server.stages)
        return slow._replace(step=way(server, prompt, cached, batch, None))

    def alone(self, server: Server, prompt: int, cached: int, batch: int, chunk: int | None) -> float:
        return way(server, prompt, cached, batch, chunk).total

    def held(self, server: Server, prompt: int, cached: int, alone: float) -> float:
        return max(stage.prefill(prompt, cached, server.setup.attention_dp).total for stage, _ in server.stages)

    def added(self, server: Server, prompt: int, cached: int, users: int, context: int, chunk: int | None) -> float:
        return added(server, prompt, cached, users, context).seconds

    def added_at_least(self, server: Server, prompt: int, cached: int, users: int, context: int, chunk: int | None) -> float:
        many = server.in_a_pass(prompt - cached, users, server.budget)
        needed = max(_needed(stage, prompt, cached, users, context, many) for stage, _ in server.stages)
        return max(0.0, needed - server.decode(users, context).total) / many


def way(server: Server, prompt: int, cached: int, batch: int, chunk: int | None) -> ServingStep:
    """Prompts on their way through all stages, a piece in each pass: (pieces + stages - 1) · a stage's piece where stages are
    equal.
    """
    steps = [(stage.prefill(prompt, cached, batch), many) for stage, many in server.stages]
    pieces, longest = pieces_of(server, prompt - cached, chunk), slowest(steps)
    whole = _sent(summed(steps), server.sent(batch * max(1, prompt - cached)))
    return type(whole)(*((all_ + (pieces - 1) * one) / pieces for all_, one in zip(whole, longest, strict=True)))


def _slowest(of: Iterable[Asked]) -> Asked:
    return max(of, key=lambda one: one.step.total)


def _needed(server: Server, prompt: int, cached: int, users: int, context: int, many: int) -> float:
    """Seconds of the arithmetic of a step, and of ``many`` prompts in it."""
    flops = server.counted_pass(prompt, cached, many).flops + server.counted_step(users, context).flops
    return flops / server.machine.matmul


ALONE, IN_STAGES = Alone(), InStages()
