"""What users wait for while an engine decodes for all of them and works off new prompts in between: closed formulas.

A closed loop: ``users`` requests at any time, the next one sent as soon as one is answered; all begin at once, and each user asks
``rounds`` times. A test holds the formulas to a simulation, step by step.
"""

from __future__ import annotations

ROUNDS = 10
"""Requests of each user, as public benchmarks have them (InferenceMAX: ten times the concurrency)."""
SPREAD = 0.5
"""How far apart requests that began together end, as a share of an answer's time, rounds and lengths that vary by a fifth taken
together: from the simulation.
"""


def per_token(step: float, prompt: float, users: float, output: float) -> float:
    """Seconds between tokens of one user: step + users · prompt / output.

    In the time of an answer each of ``users`` brings a new prompt, which adds ``prompt`` seconds to somebody's steps; a step of
    decoding takes ``step`` seconds. Source: Yu et al. 2022, Orca, OSDI (continuous batching); steady state.

    >>> per_token(0.01, 0.1, 50, 1000)
    0.015
    """
    return step + users * prompt / output


def first_token(prompt: float, step: float, users: float, output: float, together: float) -> float:
    """Seconds to the first token, the mean over all requests.

    Of :data:`ROUNDS` requests of a user one is in the burst at the start, where half of the others' prompts come first: (users +
    ``together``) / 2 · (prompt + step / together), with ``together`` prompts a step (below 1: a prompt takes several). Each of
    the others waits for half a step, then for its own prompt, and for those that came just before: with the load ρ = users ·
    prompt / (users · prompt + SPREAD · answer), prompt · ρ / (2 (1 - ρ)), as in an M/D/1 queue (Kleinrock 1975, sec. 5.3).

    >>> round(first_token(0.1, 0.01, 1, 1000, 8), 3), round(first_token(0.1, 0.01, 64, 1000, 8), 3)
    (0.1, 0.5)
    """
    pieces = max(1.0, 1 / together)
    if users <= 1:
        return prompt + step * (pieces - 1)
    at_once = min(together, users)
    burst = (users + at_once) / 2 * (prompt + step / at_once) - step
    busy = users * prompt
    load = busy / (busy + SPREAD * output * per_token(step, prompt, users, output))
    later = prompt * (1 + load / (2 * (1 - load))) + step * (pieces + load / 2)
    return burst / ROUNDS + later * (1 - 1 / ROUNDS)


def first_token_apart(prompt: float, token: float, users: float, output: float, together: float) -> float:
    """The same where prompts are worked off by GPUs of their own, in between nothing is decoded, and ``users`` share one of
    these; ``token`` seconds between tokens. Where prompts take longer than answers, users wait for them: users · prompt -
    output · token.

    >>> round(first_token_apart(0.1, 0.01, 64, 1000, 8), 3), round(first_token_apart(0.1, 0.01, 200, 1000, 8), 3)
    (0.508, 10.0)
    """
    busy, answer = users * prompt, output * token
    load = busy / (busy + SPREAD * answer)
    later = prompt * (1 + load / (2 * (1 - load)))
    steady = (users + min(together, users)) / 2 * prompt / ROUNDS + later * (1 - 1 / ROUNDS)
    return max(steady, busy - answer)
