"""The optimum of a mixture of experts by a law that knows granularity.

Krajewski et al. 2024, arXiv:2402.07871. A layer has E G experts, each 1/G of a dense feed-forward of width 4 d, of which a token
meets G. Per layer, 4 d² parameters of attention and 8 d² of the experts that a token meets are active; 8 E d² of experts exist:

    N_active = 12 d² layers,  N = (8 E + 4) d² layers,  d = 64 layers (the paper's assumption)
    L(N, D, G) = E0 + (A + g / G^gamma) / N^alpha + B / D^beta                       eq. 9
    C = F D,  F = (72 d² + r d E G) layers = 6 N_active (1 + r E G / (72 d))          sec. 6, r = 14 FLOPs of routing

Without routing the finest cut would always win; with it each budget has its best G, a power of 2 here as in the paper.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcx.scaling.laws import FineGrained
from llmcx.scaling.minimum import rising

GRANULARITIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Those tried. The law was fitted to 1 to 16; the paper's own Table 2 reads it up to 64."""


class Best(NamedTuple):
    """Parameters that one token meets and all of them, tokens, FLOPs of training, loss, granularity."""

    active: float
    total: float
    tokens: float
    compute: float
    loss: float
    granularity: int


def routing_share(law: FineGrained, active: float, granularity: int) -> float:
    """FLOPs of routing over those of the rest: r E G / (72 d), d = (64 N_active / 12)^(1/3)."""
    return float(law.routing * law.experts * granularity / (72 * (64 * active / 12) ** (1 / 3)))


def loss(law: FineGrained, active: float, tokens: float, granularity: int) -> float:
    """Equation 9, nats per token, by active parameters."""
    total = active * (8 * law.experts + 4) / 12
    return float(law.E + (law.A + law.g / granularity**law.gamma) / total**law.alpha + law.B / tokens**law.beta)


def _at(law: FineGrained, active: float, granularity: int, unit: float) -> Best:
    # N and D are worth their last FLOP alike: dL/dN / dL/dD = dC/dN / dC/dD gives alpha a_G / N^alpha = s beta B / D^beta,
    # where s = dlnF / dlnN = 1 - share / 3 of F.
    total = active * (8 * law.experts + 4) / 12
    routing = routing_share(law, active, granularity)
    slope = 1 - routing / (1 + routing) / 3
    a = law.A + law.g / granularity**law.gamma
    tokens = (slope * law.beta * law.B * total**law.alpha / (law.alpha * a)) ** (1 / law.beta)
    compute = unit * 6 * active * (1 + routing) * tokens
    return Best(active, total, tokens, compute, loss(law, active, tokens, granularity), granularity)


def optimum(law: FineGrained, name: str, value: float, unit: float = 1.0) -> Best:
    """The best model of a budget: ``name`` is "compute", "params" (active) or "tokens", ``value`` how much of it.

    ``unit`` multiplies the FLOPs. Where size or tokens are given, each granularity is held against the others at its own budget.
    """
    if name == "compute":
        return min((_reaching(law, name, value, g, unit) for g in GRANULARITIES), key=lambda each: each.loss)
    found = [_reaching(law, name, value, g, unit) for g in GRANULARITIES]
    kept = [each for each in found if optimum(law, "compute", each.compute, unit).granularity == each.granularity]
    return min(kept or found, key=lambda each: each.compute)


def _reaching(law: FineGrained, name: str, value: float, granularity: int, unit: float) -> Best:
    if name == "params":
        return _at(law, value, granularity, unit)
    sized = rising(lambda n: float(getattr(_at(law, n, granularity, unit), name)) - value, 1e-3, 1e40)
    return _at(law, sized, granularity, unit)
