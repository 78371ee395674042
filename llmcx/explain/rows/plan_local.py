"""What ranks a model on a machine of one's own, and how quick it is; its bytes are those of `memory`, its times of `serve`."""

from __future__ import annotations

from llmcx.answers import Line
from llmcx.answers.plan_local import LocalPlan


def rows(plan: LocalPlan) -> list[Line]:
    """Of the first model listed."""
    if not plan.models:
        return []
    one, found = plan.models[0], []
    by = "a rule of thumb for mixtures of experts; docs/plan_local.md says where it misleads"
    found.append(Line("proxy", "√(parameters · those that a token meets)", f"√({one.total:,} · {one.active:,})", one.proxy, by))
    if one.tokens_per_s is not None:
        whose = "llmcx/engines/local_time.py, as `llmcx serve` with half of the sequence as the prompt"
        if one.place != "gpu":
            whose = "llmcx/engines/local_time.py: the GPU's part, then the processors', at a share of their memory's bandwidth"
        numbers = f"{one.dtype}, {one.seq // 2:,} tokens before: {1e3 / one.tokens_per_s:.4g} ms"
        found.append(Line("tokens_per_s", "1 / seconds of a token", numbers, one.tokens_per_s, whose))
    return found
