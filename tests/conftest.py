"""For all tests."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def index() -> None:
    """A checkout writes presets/index.json on first use; tests of what a command imports come after that."""
    from llmcx.catalog.presets import load_preset

    load_preset("gpt2")
