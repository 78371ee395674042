"""Pictures in the terminal and in files: what stands where, and nothing that only colour tells."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from llmcx.report.file import canvas, write
from llmcx.report.spoken import described
from matplotlib.text import Text
from rich.color import Color

from llmcx.answers import serve as serving
from llmcx.answers.growth import crossover, growth
from llmcx.answers.train import Trainer
from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.errors import InputError
from llmcx.machine.roofline import IDEAL, Roofline
from llmcx.parallel.layout import Layout
from llmcx.report.figure import Axis, Bar, Bars, Curves, Figure, Mark, Series
from llmcx.report.plot import STYLES, bars, curves

LINES = [Series("n", [(1, 1), (10, 10), (100, 100)]), Series("n²", [(1, 1), (10, 100), (100, 10_000)])]


def figure(series: list[Series] = LINES, x: Axis = Axis("x"), y: Axis = Axis(), title: str = "") -> Curves:  # noqa: B008
    return Curves(title, x, y, series)


def text(*args: object, width: int = 80, height: int = 20, **more: object) -> list[str]:
    return [line.text for line in curves(figure(*args, **more), width, height)]  # type: ignore[arg-type]


STACKED = Bars("held", "bytes", "bytes", [Bar("a", {"weights": 30, "activations": 20}), Bar("b", {"weights": 100})], limit=80)


# --- terminal -------------------------------------------------------------------------------------------------------


def test_points_stand_on_log_axes() -> None:
    """Two straight lines from one corner: y = x² ends at the top right, y = x half as high."""
    drawn = [line.partition("│")[2] for line in text(width=50, height=21) if "│" in line]
    assert len(drawn) == 21
    assert drawn[0].endswith("B") and drawn[10].endswith("A") and drawn[20].startswith("*")
    assert len({line.index("A") for line in drawn if "A" in line}) == 2  # x = 10 and 100: x = 1 is shared


def test_ticks_and_legend() -> None:
    lines = text(x=Axis("tokens"), title="growth", width=50, height=9)
    assert lines[0] == "growth"
    assert lines[-2:] == ["A n   B n²", "* several of them"]
    assert [line.partition("│")[0].strip() for line in lines if "│" in line][::4] == ["10,000", "100", "1"]
    assert any(line.split() == ["1", "10", "100"] for line in lines)


def test_a_mark_is_a_column_and_a_line_below() -> None:
    lines = [line.text for line in curves(figure()._replace(marks=[Mark(10, "here")]), 50, 9)]
    column = next(line for line in lines if ":" in line).index(":")
    assert sum(line[column : column + 1] == ":" for line in lines) == 7  # all rows but those of the two letters at x = 10
    assert lines[-1] == ": here"
    assert not any(":" in line.text for line in curves(figure()._replace(marks=[Mark(1000, "beyond")]), 50, 9))


@pytest.mark.parametrize("width", [40, 80, 160])
def test_fits(width: int) -> None:
    assert max(map(len, text(width=width))) <= width
    assert max(len(line.text) for line in bars(STACKED, width)) <= width


def test_who_shares_the_last_place() -> None:
    """All three end in one row; by their values B is above C, and C above A."""
    lines = text([Series("a", [(1, 1), (9, 100)]), Series("b", [(1, 10), (9, 102)]), Series("c", [(1, 1000), (9, 101)])])
    assert lines[-1] == "* several of them; at the right, from the top: BCA"


def test_colours_stand_out_from_every_ground() -> None:
    """3:1, as WCAG 2.2 asks of graphics (1.4.11), on black, white, Solarized's two, and the greys of editors."""

    def luminance(red: int, green: int, blue: int) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red / 255, green / 255, blue / 255)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    grounds = [(0, 0, 0), (255, 255, 255), (0x1E, 0x1E, 0x1E), (0, 0x2B, 0x36), (0xFD, 0xF6, 0xE3)]
    for style in STYLES:
        ink = luminance(*Color.parse(style).get_truecolor())
        for ground in map(luminance, *zip(*grounds, strict=True)):
            assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 3, style


def test_linear_axis_and_one_point() -> None:
    lines = text([Series("a", [(1, 0), (2, 5)])], x=Axis(log=False), y=Axis(log=False), width=40, height=6)
    assert lines[0].strip().startswith("5 │") and lines[5].strip().startswith("0 │A")
    assert any("A" in line for line in text([Series("a", [(3, 3)])], width=40))


def test_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="nothing to plot"):
        text([Series("a", [(1, 0)])])


def test_bars_are_letters_to_scale() -> None:
    """100 is the end of the scale: of 40 characters 30 + 20 take 12 + 8, the limit of 80 stands after 32."""
    lines = [line.text for line in bars(STACKED, 40 + len("a   50 B  ") + 1)]
    assert lines[:3] == ["held", "a   50 B  " + "W" * 12 + "A" * 8 + "·" * 12 + "|", "b  100 B  " + "W" * 32 + "|" + "W" * 8]
    assert lines[3:] == ["W weights      A activations", "| the budget, 80 B"]


def test_one_part_is_solid_and_never_vanishes() -> None:
    lines = [line.text for line in bars(Bars("", "count", "", [Bar("a", {"n": 10**9}), Bar("b", {"n": 1})]), 60)]
    assert re.fullmatch(r"a  1\.000 B  █{40,}", lines[0]) and re.fullmatch(r"b  +1  ▏", lines[1])


@pytest.mark.parametrize("drawn", [curves(figure(), 60), bars(STACKED, 60)])
def test_colours_repeat_what_letters_say(drawn: list) -> None:  # type: ignore[type-arg]
    """Each series has its colour on its letters alone."""
    colours: dict[str, set[int]] = {}
    for line in drawn:
        for at, number in line.colours.items():
            colours.setdefault(line.text[at], set()).add(number)
    assert colours.pop(".", set()) <= {0, 1}
    assert sorted(map(sorted, colours.values())) == [[0], [1]]


# --- words ----------------------------------------------------------------------------------------------------------


def test_described() -> None:
    assert described(figure(y=Axis("cost"), title="Growth")) == [
        "Growth.",
        "Cost, against x, both on logarithmic scales.",
        "n: rises from 1 at 1 to 100 at 100",
        "n squared: rises from 1 at 1 to 10,000 at 100",
    ]
    valley = Curves("", Axis("x", log=False), Axis("y", log=False), [Series("v", [(1, 4), (2, 1), (3, 9)])])
    assert described(valley)[-1] == "v: falls from 4 at 1 to its lowest, 1 at 2, then rises to 9 at 3"
    assert described(STACKED) == [
        "held.",
        "The budget is 80 bytes.",
        "a: in all 50 bytes, within the budget; weights 30 bytes; activations 20 bytes",
        "b: in all 100 bytes, over the budget; weights 100 bytes",
    ]


# --- what is drawn --------------------------------------------------------------------------------------------------


def roofline(preset: str, **setup: int) -> Roofline:
    load = serving.Load(1024, 1024, 0, None, serving.Speculation(0, 0.0, 0.0))
    server = serving.Server(load_preset(preset), load_hardware("h100"), serving.Setup(**setup), IDEAL)
    return server.roofline(load, [1, 16, 128])


def test_roofline_by_hand() -> None:
    """The H100's ridge is 989.4 TFLOP/s over 3.35 TB/s; decoding one sequence does 2 FLOPs with each bf16 weight of 2 bytes."""
    drawn = roofline("llama-3-8b")
    [roof] = drawn.roofs
    assert roof.ridge == pytest.approx(989.4e12 / 3.35e12) and roof.at(1.0) == 3.35e12
    by_name = {one.name: one for one in drawn.placed}
    assert by_name["decode, batch 1"].intensity == pytest.approx(1, rel=0.05)
    assert by_name["decode, batch 16"].intensity == pytest.approx(16, rel=0.25)  # the cache is read by one sequence each
    # The layers' 6.9796 B parameters at each token, the causal half of the scores, the head once.
    layers, scores, head = 2 * 6.9796e9 * 1024, 4 * 1024**2 * 4096 * 32 / 2, 2 * 0.5253e9
    assert by_name["prefill"].flops == pytest.approx(layers + scores + head, rel=1e-3)


@pytest.mark.parametrize("preset", ["llama-3-8b", "mixtral-8x7b", "deepseek-v3"])
def test_nothing_stands_above_its_roof(preset: str) -> None:
    machine, spec = load_hardware("h100"), load_preset(preset)
    trained = Trainer(spec, 4096, machine, IDEAL).roofline(Layout(tp=2, dp=4, zero=3), machine)
    for drawn in (roofline(preset, tp=8), trained):
        [roof] = drawn.roofs
        for one in drawn.placed:
            assert 0 < one.rate <= roof.at(one.intensity) * (1 + 1e-9), one.name


def test_growth_meets_where_the_crossover_says() -> None:
    spec = load_preset("gpt3")
    crossing = crossover(spec).with_head
    assert crossing is not None
    before, at = growth(spec, [crossing - 1, crossing])
    assert before.attention < before.linear and at.attention >= at.linear and at.total == at.attention + at.linear


# --- files ----------------------------------------------------------------------------------------------------------


def test_endings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.svg, \.png, \.pdf or \.html"):
        write([figure()], "plot.gif")
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        write([figure()], str(tmp_path / "no" / "plot.svg"))


@pytest.mark.parametrize(("ending", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("html", b"<!DOCTYPE")])
def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, ending: str, start: bytes) -> None:
    """In two processes, whatever the hash seed and the user's own matplotlibrc."""
    (tmp_path / "matplotlibrc").write_text("axes.grid: True\nfont.size: 20\n")
    made = []
    for seed in "12":
        path = tmp_path / f"{seed}.{ending}"
        code = f"from tests.test_plot import *; write([figure(), STACKED], {str(path)!r})"
        environment = {"PATH": "", "PYTHONHASHSEED": seed, "HOME": str(tmp_path)}
        environment |= {"MATPLOTLIBRC": str(tmp_path)} if seed == "2" else {}
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent, env=environment)
        made.append(path.read_bytes())
    assert made[0] == made[1] and made[0].startswith(start)


def test_svg_has_a_background(tmp_path: Path) -> None:
    """Its ink is dark, so it brings a light ground with it, as large as the picture."""
    write([figure()], str(tmp_path / "a.svg"))
    svg = (tmp_path / "a.svg").read_text()
    size = re.search(r'viewBox="0 0 (\S+) (\S+)"', svg)
    ground = re.search(r'<g id="patch_1">\s*<path d="([^"]*)" style="fill: #ffffff', svg)
    assert size and ground and f"L {size[1]} 0" in " ".join(ground[1].split())


LONG = "a model whose name is as long as a name of a directory may be, and longer"


@pytest.mark.parametrize(
    "drawn",
    [
        figure(),
        figure([Series(f"line {n}, of quite a name", [(1, n + 1), (9, n + 2)]) for n in range(50)], title=LONG),
        figure([Series(LONG, [(1, 1), (100, 2)])])._replace(marks=[Mark(10, LONG)]),
        figure(
            [Series("a", [(128 * 2**n, 10.0 ** (3 * n)) for n in range(16)])], x=Axis("tokens", "length"), y=Axis("F", "flops")
        ),
        STACKED,
        Bars(LONG + LONG, "count", "parameters", [Bar(LONG, {f"part {n}": 10**n for n in range(20)})], limit=10**21),
        Bars("", "bytes", "bytes", [Bar(f"stage {n}", {"weights": 10**13 - n}) for n in range(64)]),
    ],
)
def test_no_text_is_cut_or_written_over_another(drawn: Figure) -> None:
    made = canvas([drawn, figure()])
    made.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in made.findobj(Text) if text.get_text() and text.get_visible()]
    ticks = [label for axes in made.axes for axis in (axes.xaxis, axes.yaxis) for label in _unseen(axis)]
    boxes = [(name, box) for name, box in boxes if (name, box.x0, box.y0) not in ticks]
    assert len(boxes) > 5
    for name, box in boxes:
        assert made.bbox.x0 <= box.x0 and box.x1 <= made.bbox.x1 and made.bbox.y0 <= box.y0 and box.y1 <= made.bbox.y1, name
    for at, (name, box) in enumerate(boxes):
        for other, its in boxes[at + 1 :]:
            across = min(box.x1, its.x1) - max(box.x0, its.x0)
            down = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert across < 1 or down < 1, (name, other)


def _unseen(axis: Any) -> list[tuple[str, float, float]]:
    """Labels of ticks outside the axes, which matplotlib keeps and does not draw."""
    low, high = sorted(axis.get_view_interval())
    outside = [tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
    return [(label.get_text(), label.get_window_extent().x0, label.get_window_extent().y0) for label in outside]


class Page(HTMLParser):
    """What a page holds: tags, ids, and the cells of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.svgs: list[dict[str, str | None]] = []
        self.texts: dict[str, str] = {}
        self.last = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "path", "use", "br"):
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
            self.last = str(given["id"])
        if tag == "svg":
            self.svgs.append(given)
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "path", "use", "br"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif self.open and self.open[-1] in ("title", "desc"):
            self.texts[self.last] = data


def test_page_is_accessible_and_self_contained(tmp_path: Path) -> None:
    write([figure(title="Growth & co", y=Axis("cost")), STACKED], str(tmp_path / "a.html"))
    source = (tmp_path / "a.html").read_text()
    page = Page(source)
    assert page.open == [] and len(page.ids) == len(set(page.ids))
    growth, held = page.tables
    assert growth == [["series", "x", "cost"], *[[s.label, f"{x:,}", f"{y:,}"] for s in LINES for x, y in s.points]]
    assert held[0] == ["", "weights, bytes", "activations, bytes", "total, bytes"]
    assert held[1:] == [["a", "30", "20", "50"], ["b", "100", "0", "100"], ["budget", "", "", "80"]]
    for svg in page.svgs:
        title, description = str(svg["aria-labelledby"]).split()
        assert svg["role"] == "img" and page.texts[title] in ("Growth & co", "held") and page.texts[description]
    assert "prefers-color-scheme: dark" in source and "currentColor" in source
    assert not re.search(r"#000001|fill: #000000|(src|href)=\"http", source)  # no ink of its own, nothing loaded
    assert not re.search(r"patch_[12]\">\s*<path[^>]*fill: #ffffff", source)
