"""What a choice adds up to; its times are those of `serve`."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.plan_serve import Choice


def rows(one: Choice) -> list[Line]:
    """The GPUs and users of the replicas together."""
    by = "the layout that was searched, parallel/layout.py"
    return [
        Line("gpus", "replicas · tp", f"{one.replicas:,} · {one.tp:,}", one.gpus, by),
        Line("tp", "GPUs that share each layer of a replica", f"{one.tp:,}", one.tp, by),
        Line("users", "replicas · users of each", f"{one.replicas:,} · {one.batch:,}", one.users, by),
    ]
