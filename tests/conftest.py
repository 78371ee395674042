"""What every test has: one thread of linear algebra, as long as it takes, llmcx's own setting of the garbage collector, and each
fit of the same runs computed once.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Before numpy is imported: on matrices of five rows its threads only wait for one another, ten times as long.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# As in llmcx.__main__: a search for garbage among all that was imported and collected takes a third of a test's time.
gc.set_threshold(100_000)

from llmcx.scaling import fitting  # noqa: E402

# A busy machine may take ten times as long over an example: how long tests may take is for who runs them to say.
settings.register_profile("llmcx", settings.default, deadline=None)
settings.load_profile("llmcx")

LONG = (
    "packaging", "readme", "invariants", "terminal", "contract", "plan", "completions", "fuzz", "vocabulary", "plot", "bad_input",
    "sweep", "check", "plan_train", "api", "ranks", "families", "plugins", "hub", "schemas",
)  # fmt: skip
"""Files that take longest. Where processes take whole files (--dist loadfile), a long one that begins last has one of them work
alone.
"""


def pytest_configure(config: pytest.Config) -> None:
    """Files in the order of :func:`pytest_collection_modifyitems`, where pytest-xdist would begin with those of most tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    first = {f"test_{name}.py": at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: first.get(Path(item.path).name, len(first)))


def pytest_collection_finish() -> None:
    """What is collected stays to the end: no search for garbage looks through it again."""
    gc.collect()
    gc.freeze()


FITS: dict[Any, Any] = {}
FIT = fitting.fit


def fit_once(runs: Any, **inputs: Any) -> Any:
    key = (tuple(runs), *sorted(inputs.items()))
    if key not in FITS:
        FITS[key] = FIT(runs, **inputs)
    return FITS[key]


@pytest.fixture(autouse=True, scope="module")
def _fits(request: pytest.FixtureRequest) -> Iterator[None]:
    """A fit takes a second, and many tests look at the same one; those of the fit itself compute it."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.name != "test_fit.py":
            patch.setattr(fitting, "fit", fit_once)
        yield


@pytest.fixture
def answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a test, a command's answer is computed once, and shown in every form and width that the test asks it in."""
    from llmcx.cli import values

    answers: dict[Any, Any] = {}
    ask = values.ask

    def once(question: Any, given: Any) -> Any:
        key = question.function, repr(sorted(given.items()))
        if key not in answers:
            answers[key] = ask(question, given)
        return answers[key]

    monkeypatch.setattr(values, "ask", once)


@pytest.fixture(scope="session", autouse=True)
def index() -> None:
    """A checkout writes presets/index.json on first use; tests of what a command imports come after that."""
    from llmcx.catalog.presets import load_preset

    load_preset("gpt2")
