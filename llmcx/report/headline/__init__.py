"""The first lines of an answer, one function a command: what was asked, with all that moves the number, and the verdict."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llmcx.report.render import Headline

MODULES = {
    **dict.fromkeys(("params", "flops", "memory", "attention_compare", "moe", "chinchilla", "compare"), "costs"),
    **dict.fromkeys(("train", "serve"), "runs"),
    **dict.fromkeys(("plan_serve", "plan_lifetime", "plan_local", "plan_train", "plan_finetune"), "plans"),
    **dict.fromkeys(("check", "budget", "check_train", "explain_log"), "checks"),
}
"""Where each command's function is. A module is imported when an answer is printed."""


def written(name: str, *answer: Any) -> Headline:
    """Those of a command's answer."""
    head: Headline = getattr(import_module(f"llmcx.report.headline.{MODULES[name]}"), name)(*answer)
    return head
