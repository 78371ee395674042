"""What users wait for while an engine decodes for all of them and works off new prompts in between: closed formulas.

A closed loop: ``users`` requests at any time, the next one sent as soon as one is answered; all begin at once, and each user asks
``rounds`` times. A test holds the formulas to a simulation, step by step.
"""

from __future__ import annotations

from math import sqrt

from llmcx.engines.spread import Even, Parts, Spread

ROUNDS = 10
"""Requests of each user, as public benchmarks have them (InferenceMAX: ten times the concurrency)."""
SPREAD = 0.5
"""How far apart requests that began together end, as a share of an answer's time, rounds and lengths that vary by a fifth taken
together: from the simulation.
"""


def per_token(step: float, prompt: float, users: float, output: float, first: float = 0.0) -> float:
    """Seconds between tokens of one user, x = step + (users - 1) · prompt · x / (first + output · x).

    In the time of a round, ``first`` to the first token and output · x for the others, each of the other ``users`` brings a new
    prompt, which adds ``prompt`` seconds to the steps of those who get tokens then; his own comes before his tokens. A step of
    decoding takes ``step`` seconds. Source: Yu et al. 2022, Orca, OSDI (continuous batching); steady state.

    >>> per_token(0.01, 0.1, 51, 1000), round(per_token(0.01, 0.1, 51, 1000, 1.0), 5), per_token(0.01, 0.1, 1, 1000, 1.0)
    (0.015, 0.01468, 0.01)
    """
    others = users - 1
    if others <= 0 or not first:
        return step + max(0.0, others) * prompt / output
    whole = output * step + others * prompt - first
    return (whole + sqrt(whole * whole + 4 * output * step * first)) / (2 * output)


def waiting(first: float, token: float, users: float, places: float, output: float) -> float:
    """Seconds to the first token where ``users`` ask and ``places`` of them are worked for at a time: those in a place are done
    after first + output · token, so that another's turn comes (users / places - 1) times that later (the response time law;
    Little 1961).

    >>> waiting(1.0, 0.01, 64, 64, 900), waiting(1.0, 0.01, 96, 64, 900)
    (1.0, 6.0)
    """
    return first + max(0.0, users / places - 1) * (first + output * token)


def together(step: float, each: float, users: float, many: float, output: float) -> tuple[float, float]:
    """Seconds to the first token and between tokens of users who begin together and, all lengths being the same, end in the same
    step and ask again together, where an engine works off all prompts that wait, ``many`` in a pass, before anybody gets another
    token: one waits for half of the passes before his first token, and for the other half after it. A prompt takes ``each``
    seconds of its pass, a step of decoding ``step``.

    >>> together(0.01, 0.1, 64, 8, 1000)
    (3.6, 0.0128)
    """
    return (users + many) / 2 * each, step + (users - many) / 2 * each / output


def first_token(
    prompt: float, step: float, users: float, output: float, together: float, further: float = 0.0, stages: int = 1
) -> float:
    """Seconds to the first token, the mean over all requests.

    Of :data:`ROUNDS` requests of a user one is in the burst at the start, where half of the others' prompts come first: (users +
    ``together``) / 2 · (prompt + step / together), with ``together`` prompts a step (below 1: a prompt takes several). Each of
    the others waits for half a step, then for its own prompt, and for those that came just before: with the load ρ of
    :func:`busy`, prompt · ρ / (2 (1 - ρ)), as in an M/D/1 queue (Kleinrock 1975, sec. 5.3).

    Where layers are in ``stages``, the next prompt follows when the first of them is free, after a share of the step; a prompt
    goes through the others too, which takes ``further`` seconds besides the step's own, and those in the same pass with it.

    >>> round(first_token(0.1, 0.01, 1, 1000, 8), 3), round(first_token(0.1, 0.01, 64, 1000, 8), 3)
    (0.1, 0.499)
    """
    pieces = max(1.0, 1 / together)
    each = step / stages
    if users <= 1:
        return prompt + each * (pieces - 1) + further
    at_once = min(together, users)
    burst = (users + at_once) / 2 * (prompt + each / at_once) - each + further * max(1.0, at_once)
    later = _later(prompt, step, users, output, together, stages)
    return burst / ROUNDS + (later.least + later.mean + further) * (1 - 1 / ROUNDS) + (step - each)


def _later(prompt: float, step: float, users: float, output: float, together: float, stages: int) -> Spread:
    """Of requests after the first of each user: a prompt goes into the step that begins as it comes, for it comes as another
    answer ends. The variance of the wait is that of an M/D/1 queue, mean^2 + 2/3 prompt · mean.
    """
    load = busy(prompt, users, output * per_token(step, prompt, users, output))
    behind, each = prompt * load / (2 * (1 - load)), step / stages
    waits = behind + each * load / 2
    return Spread(prompt + each * max(1.0, 1 / together), waits, waits * waits + 2 / 3 * prompt * behind)


def busy(prompt: float, users: float, answer: float) -> float:
    """The load that a request finds, prompts of the other users in the time in which those of a round come (the arrival theorem;
    Lavenberg and Reiser 1980, J. Appl. Prob. 17(4)).

    >>> busy(0.1, 65, 12.8), busy(0.1, 1, 12.8)
    (0.5, 0.0)
    """
    brought = max(0.0, users - 1) * prompt
    return brought / (brought + SPREAD * answer)


def first_tokens(
    prompt: float, step: float, users: float, output: float, together: float, further: float = 0.0, stages: int = 1
) -> Parts:
    """:func:`first_token` of each request: a tenth of them in the burst at the start, one after the other, the rest later.

    >>> from llmcx.engines.spread import percentile
    >>> [round(percentile(first_tokens(0.1, 0.01, 64, 1000, 8), share), 2) for share in (0.5, 0.9, 0.99)]
    [0.13, 0.84, 5.9]
    """
    if users <= 1:
        return [(1.0, Spread(first_token(prompt, step, users, output, together, further, stages), 0.0, 0.0))]
    at_once, of_stage = min(together, users), step / stages
    each, others = prompt + of_stage / at_once, step - of_stage
    burst = Even(max(1.0, at_once) * each - of_stage, users * each - of_stage).later(further * max(1.0, at_once) + others)
    later = _later(prompt, step, users, output, together, stages).later(further + others)
    return [(1 / ROUNDS, burst), (1 - 1 / ROUNDS, later)]


UNEVEN = 0.35
"""How far the number of prompts that come while an answer is given deviates, as a share of the square root of the users, where
answers' lengths vary by a fifth: from the simulation.
"""


def per_tokens(step: float, prompt: float, users: float, output: float, first: float = 0.0) -> Parts:
    """:func:`per_token` of each request: in the last round fewer and fewer prompts come, down to none.

    >>> from llmcx.engines.spread import percentile
    >>> [round(percentile(per_tokens(0.01, 0.1, 50, 1000), share), 4) for share in (0.5, 0.9, 0.99)]
    [0.0149, 0.0152, 0.0155]
    """
    token = per_token(step, prompt, users, output, first)
    if users <= 1 or not prompt:
        return [(1.0, Spread(step, 0.0, 0.0))]
    come = (token - step) * output / prompt * users / (users - 1)  # of all users' prompts, those that come meanwhile
    deviation = UNEVEN * sqrt(max(0.0, come)) * prompt / output
    return [(1 / ROUNDS, Even(step, token)), (1 - 1 / ROUNDS, Spread(step, token - step, deviation * deviation))]


def first_token_apart(alone: float, each: float, token: float, users: float, output: float, together: float) -> float:
    """The same where prompts are worked off by GPUs of their own, in between nothing is decoded, and ``users`` share one of
    these; ``token`` seconds between tokens. A prompt takes ``alone``, and one of several in a pass ``each``. Where prompts take
    longer than answers, users wait for them: users · each - output · token.

    >>> round(first_token_apart(0.1, 0.1, 0.01, 64, 1000, 8), 3), round(first_token_apart(0.1, 0.1, 0.01, 200, 1000, 8), 3)
    (0.507, 10.0)
    """
    later = _later_apart(alone, each, token, users, output)
    return max(_burst_apart(each, users, together) / ROUNDS + later * (1 - 1 / ROUNDS), users * each - output * token)


def lacking(token: float, users: float, places: float, output: float, taken: float) -> float:
    """Seconds to the first token of one of ``users``, of whom ``places`` are worked for at a time, prompts apart: all of them ask
    once in the time in which each place takes up users / places of them, ``taken`` seconds each, and decodes ``output`` tokens
    (Little 1961).

    >>> lacking(0.125, 36, 32, 800, 4), lacking(0.125, 32, 36, 800, 4)
    (17.0, 0.0)
    """
    return users / places * (taken + output * token) - output * token if users > places else 0.0


def _burst_apart(each: float, users: float, together: float) -> float:
    return (users + min(together, users)) / 2 * each


def _later_apart(alone: float, each: float, token: float, users: float, output: float) -> float:
    load = busy(each, users, output * token)
    return alone + each * load / (2 * (1 - load))


def first_tokens_apart(alone: float, each: float, token: float, users: float, output: float, together: float) -> Parts:
    """:func:`first_token_apart` of each request.

    >>> from llmcx.engines.spread import percentile
    >>> [round(percentile(first_tokens_apart(0.1, 0.1, 0.01, 64, 1000, 8), share), 2) for share in (0.5, 0.9, 0.99)]
    [0.14, 0.87, 5.84]
    """
    behind = _later_apart(alone, each, token, users, output) - alone
    least = min(max(1.0, together), max(1.0, users)) * each
    slowest = users * each - output * token
    later = Spread(alone, behind, behind * behind + 2 / 3 * each * behind)
    if slowest > alone + behind:
        later = Spread(slowest, 0.0, 0.0)
    return [(1 / ROUNDS, Even(least, max(least, users * each))), (1 - 1 / ROUNDS, later)]
