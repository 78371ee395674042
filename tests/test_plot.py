"""Plots in the terminal and in files: what stands where, and nothing that only colour tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcx.core.errors import InputError
from llmcx.report.plot import Axis, Series, file_plot, text_plot

LINES = [Series("n", [(1, 1), (10, 10), (100, 100)]), Series("n²", [(1, 1), (10, 100), (100, 10_000)])]


def test_points_stand_on_log_axes() -> None:
    """Two straight lines from one corner: y = x² ends at the top right, y = x half as high."""
    drawn = [line.partition("│")[2] for line in text_plot(LINES, width=50, height=21) if "│" in line]
    assert len(drawn) == 21
    assert drawn[0].endswith("B") and drawn[10].endswith("A") and drawn[20].startswith("*")
    assert len({line.index("A") for line in drawn if "A" in line}) == 2  # x = 10 and 100: x = 1 is shared


def test_ticks_and_legend() -> None:
    lines = text_plot(LINES, x=Axis("tokens"), title="growth", width=50, height=9)
    assert lines[0] == "growth"
    assert lines[-2:] == ["A n   B n²", "* several of them"]
    assert [line.partition("│")[0].strip() for line in lines if "│" in line][::4] == ["10000", "100", "1"]
    assert any(line.split() == ["1", "10", "100"] for line in lines)


@pytest.mark.parametrize("width", [40, 80, 110])
def test_fits(width: int) -> None:
    assert max(map(len, text_plot(LINES, x=Axis("x"), width=width))) <= width


def test_linear_axis_and_one_point() -> None:
    lines = text_plot([Series("a", [(1, 0), (2, 5)])], x=Axis(log=False), y=Axis(log=False), width=40, height=6)
    assert lines[0].strip().startswith("5 │") and lines[5].strip().startswith("0 │A")
    assert any("A" in line for line in text_plot([Series("a", [(3, 3)])], width=40))


def test_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="nothing to plot"):
        text_plot([Series("a", [(1, 0)])])


def test_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.svg"):
        file_plot(LINES, "plot.gif")
    pytest.importorskip("matplotlib")
    for name, start in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG")):
        file_plot(LINES, str(tmp_path / name))
        assert (tmp_path / name).read_bytes().startswith(start)
