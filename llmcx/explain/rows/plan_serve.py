"""What each choice that is shown adds up to, and its times, which are those of `serve`."""

from __future__ import annotations

from collections.abc import Iterable

from llmcx.answers import Line
from llmcx.answers.load import Load, point
from llmcx.answers.plan_serve import Choice, label
from llmcx.engines.serving_time import Server
from llmcx.explain.rows.serve import point as of_point

_SEARCHED = "the layout that was searched, parallel/layout.py"


def rows(choices: Iterable[tuple[Choice, Server, Load, float | None]]) -> list[Line]:
    """Of each choice the GPUs and users of its replicas together, then what serves a replica's users."""
    found: list[Line] = []
    for one, server, load, price in choices:
        name = label(one)
        gpus = "replicas·tp", f"{one.replicas:,}·{one.tp:,}"
        if one.pp > 1:
            gpus = "replicas·pp·tp", f"{one.replicas:,}·{one.pp:,}·{one.tp:,}"
        if one.prefill_workers:
            numbers = f"{one.workers:,}·{one.tp:,} + {one.prefill_workers:,}·{one.prefill_tp:,}"
            gpus = "workers·tp + prefill_workers·prefill_tp", numbers
        found += [
            Line(f"{name}: gpus", *gpus, one.gpus, _SEARCHED),
            Line(f"{name}: tp", "GPUs that share each layer of a replica", f"{one.tp:,}", one.tp, _SEARCHED),
            Line(f"{name}: users", "replicas·users of each", f"{one.replicas:,}·{one.batch:,}", one.users, _SEARCHED),
        ]
        if price is not None and one.usd_per_hour is not None:
            found.append(Line(f"{name}: usd_per_hour", "GPUs·price", f"{one.gpus:,}·{price}", one.usd_per_hour, "--price"))
        found += of_point(name, server, load, point(server, load, one.batch, price), price)
    return found
