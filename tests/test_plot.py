"""Pictures in the terminal and in files: what stands where, and nothing that only colour tells."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text
from rich.color import Color
from rich.style import Style

from llmcx.answers.growth import crossover, growth
from llmcx.answers.load import Load, Speculation
from llmcx.answers.serve import rooflines
from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.engines.serving_time import Server, Setup
from llmcx.engines.training_time import Trainer
from llmcx.errors import InputError
from llmcx.machine.roofline import IDEAL, Roofline
from llmcx.parallel.layout import Layout
from llmcx.report.figure import Axis, Bar, Bars, Curves, Figure, Mark, Series
from llmcx.report.image import canvas, write
from llmcx.report.plain import described
from llmcx.report.plot import COLOURS, bars, curves, style
from tests.helpers import here

LINES = [Series("n", [(1, 1), (10, 10), (100, 100)]), Series("n²", [(1, 1), (10, 100), (100, 10_000)])]


def figure(series: list[Series] = LINES, x: Axis = Axis("x"), y: Axis = Axis(), title: str = "") -> Curves:  # noqa: B008
    return Curves(title, x, y, series)


LONG = "a model whose name is as long as a name of a directory may be, and longer"
STACKED = Bars("held", "bytes", "bytes", [Bar("a", {"weights": 30, "activations": 20}), Bar("b", {"weights": 100})], limit=80)


def text(drawn: Figure, width: int = 80) -> list[str]:
    return [line.plain for line in (curves(drawn, width) if isinstance(drawn, Curves) else bars(drawn, width))]


def inside(lines: list[str]) -> list[str]:
    """What stands between the axes, row by row from the top."""
    return [re.split("[│┤]", line)[1] for line in lines if re.search("[│┤].*│", line)]


# --- terminal -------------------------------------------------------------------------------------------------------


def test_curves_on_log_axes() -> None:
    """Two straight lines from one corner: y = x² ends at the top right, y = x half as high, each with its name beside its end;
    the ticks are round, evenly apart.
    """
    lines = text(figure(x=Axis("tokens"), y=Axis("cost"), title="growth"))
    rows = inside(lines)
    assert lines[:2] == ["growth", "cost"] and "tokens" in lines[-1]
    assert lines[3].endswith("│ n²") and lines[3 + len(rows) // 2].endswith("│ n")
    assert rows[0].rstrip() and rows[0][-1] != " " and rows[len(rows) // 2][-1] != " " and rows[-1][0] != " "
    ticks = {line.partition("┤")[0].strip(): at for at, line in enumerate(lines) if "┤" in line}
    assert list(ticks) == ["10,000", "1,000", "100", "10", "1"]
    steps = [b - a for a, b in pairwise(ticks.values())]
    assert max(steps) - min(steps) <= 1
    assert any(line.split() == ["1", "2", "5", "10", "20", "50", "100"] for line in lines)


def test_a_mark_is_a_column_and_a_line_below() -> None:
    lines = text(figure()._replace(marks=[Mark(10, "here")]))
    column = next(line for line in lines if line.count("┬") == 1).index("┬")
    crossed = [line[column] for line in lines if re.search("[│┤].*│", line) and line[column] != " "]
    assert len(crossed) == len(inside(lines)) and lines[-1] == "│ here"
    assert text(figure()._replace(marks=[Mark(1000, "beyond")])) == text(figure())


@pytest.mark.parametrize("width", [40, 80, 160])
def test_fits(width: int) -> None:
    for drawn in (figure(), figure([Series(LONG, [(1, 1), (100, 2)])], title=LONG), STACKED):
        assert max(map(len, text(drawn, width))) <= width


def test_points_stand_before_lines_and_say_who_they_are() -> None:
    line = [(1.0, 1.0), (100.0, 100.0)]
    lines = text(figure([Series("a", line), Series("b", line), Series("point", [(10, 10)], joined=False)]))
    rows = inside(lines)
    assert sum(row.count("●") for row in rows) == 1 and any("point" in row for row in rows)
    assert any(row.endswith("│ a, b") for row in lines), "lines along one path share a name"


def test_names_are_in_the_order_of_their_lines() -> None:
    """Seventeen lines, a name each, from the highest end to the lowest; no letter stands for a name."""
    many = [Series(f"variant {n:02}", [(1, 1.0), (10, 2.0**n)]) for n in range(17)]
    for width in (80, 200):
        lines = text(figure(many), width)
        named = [line.rpartition("│ ")[2] for line in lines if "│ variant" in line]
        assert named == sorted((one.label for one in many), reverse=True) and max(map(len, lines)) <= width


def test_colours_stand_out_from_every_ground() -> None:
    """3:1, as WCAG 2.2 asks of graphics (1.4.11), on black, white, Solarized's two, and the greys of editors."""

    def luminance(red: int, green: int, blue: int) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red / 255, green / 255, blue / 255)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    grounds = [(0, 0, 0), (255, 255, 255), (0x1E, 0x1E, 0x1E), (0, 0x2B, 0x36), (0xFD, 0xF6, 0xE3)]
    for number in range(len(COLOURS)):
        ink = luminance(*Color.parse(style(number)).get_truecolor())
        for ground in map(luminance, *zip(*grounds, strict=True)):
            assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 3, number


def test_linear_axis_and_one_point() -> None:
    lines = text(figure([Series("a", [(1, 0), (2, 5)])], x=Axis(log=False), y=Axis(log=False)))
    assert [line.partition("┤")[0].strip() for line in lines if "┤" in line] == ["5", "4", "3", "2", "1", "0"]
    assert any(row.strip() for row in inside(text(figure([Series("a", [(3, 3)])]))))


def test_nothing_to_draw() -> None:
    with pytest.raises(InputError, match="nothing to plot"):
        text(figure([Series("a", [(1, 0)])]))


def test_bars_are_letters_to_scale() -> None:
    """100 is the end of the scale: of 40 characters 30 + 20 take 12 + 8, the limit of 80 stands after 32."""
    lines = text(STACKED, 40 + len("a   50 B  ") + 1)
    assert lines[:3] == ["held", "a   50 B  " + "W" * 12 + "A" * 8 + "·" * 12 + "|", "b  100 B  " + "W" * 32 + "|" + "W" * 8]
    assert lines[3:] == ["W weights  A activations", "| the budget, 80 B"]


def test_one_part_is_solid() -> None:
    lines = text(Bars("", "count", "", [Bar("a", {"n": 10**9}), Bar("b", {"n": 10**9 // 2})]), 61)
    assert lines[0].startswith("a  1.000 B  ") and lines[0].count("█") == 2 * lines[1].count("█") > 40


def test_colours_repeat_what_names_and_letters_say() -> None:
    """Each part has its colour on its letters alone, each line on itself and its name."""
    for drawn in (curves(figure(), 60), bars(STACKED, 60)):
        colours: dict[str, set[Any]] = {}
        for line in drawn:
            for span in line.spans:
                color = Style.parse(span.style).color if isinstance(span.style, str) else span.style.color
                if color is not None and not color.is_default:
                    colours.setdefault(color.name, set()).update(line.plain[span.start : span.end])
        inked = ["".join(letter for letter in found if not "\u2800" <= letter <= "\u28ff") for found in colours.values()]
        assert sorted(inked) in (["n", "n²"], ["n", "²n"], ["A", "W"])


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


def roofline(preset: str, **setup: Any) -> Roofline:
    load = Load(1024, 1024, 0, None, Speculation(0, 0.0, 0.0))
    server = Server(load_preset(preset), load_hardware("h100"), Setup(**setup), IDEAL)
    return rooflines(server, load, [1, 16, 128])


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
    trained = Trainer(spec, 4096, machine, IDEAL).roofline(Layout(tp=2, dp=4, zero=3))
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


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path) -> None:
    """In two processes, whatever the hash seed and the user's own matplotlibrc."""
    (tmp_path / "matplotlibrc").write_text("axes.grid: True\nfont.size: 20\n")
    starts = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!DOCTYPE"}
    for seed in "12":
        paths = [str(tmp_path / f"{seed}.{ending}") for ending in starts]
        code = f"from tests.test_plot import *\nfor path in {paths!r}: write([figure(), STACKED], path)"
        environment = {"PATH": "", "PYTHONHASHSEED": seed, "HOME": str(tmp_path)}
        environment |= {"MATPLOTLIBRC": str(tmp_path)} if seed == "2" else {}
        subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent, env=environment)
    for ending, start in starts.items():
        one, two = ((tmp_path / f"{seed}.{ending}").read_bytes() for seed in "12")
        assert one == two and one.startswith(start), ending


def test_svg_has_a_background(tmp_path: Path) -> None:
    """Its ink is dark, so it brings a light ground with it, as large as the picture."""
    write([figure()], str(tmp_path / "a.svg"))
    svg = (tmp_path / "a.svg").read_text()
    size = re.search(r'viewBox="0 0 (\S+) (\S+)"', svg)
    ground = re.search(r'<g id="patch_1">\s*<path d="([^"]*)" style="fill: #ffffff', svg)
    assert size and ground and f"L {size[1]} 0" in " ".join(ground[1].split())


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
    legible([drawn, figure()])


def legible(figures: list[Figure]) -> None:
    """Every word lies within the picture, and on no other."""
    made = canvas(figures)
    made.draw_without_rendering()
    boxes = [
        (text.get_text(), Text.get_window_extent(text)) for text in made.findobj(Text) if text.get_text() and text.get_visible()
    ]
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


DRAWN = {
    "flops": "flops gpt3",
    "attention": "attention-compare llama-3-8b --seq 1k:1M:x4 --hardware h100",
    "chinchilla": "chinchilla llama-3-8b",
    "train": "train llama-3-8b --tokens 1T --gpus 64,128",
    "serve": "serve llama-3-8b --hardware h100",
    "memory": "memory llama-3-8b --hardware h100 --seq 2k,8k,32k,128k --batch 8",
    "plan": "plan serve llama-3-8b --hardware h100 --gpus 1..2 --tpot 20ms",
    "moe": "moe deepseek-v3",
    "params": "params mixtral-8x7b",
    "shapes": "textbook shapes --params 7B",
    "show": "catalog show h100",
    "run": "train llama-3-8b --tokens 1T --gpus 64",
}
"""Twelve pictures that people ask for."""


@pytest.fixture(scope="module")
def asked() -> dict[str, list[Figure]]:
    """Each command's figures."""
    from llmcx.report import image

    found: dict[str, list[Figure]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, call in DRAWN.items():
            patch.setattr(image, "write", lambda figures, path, name=name: found.update({name: list(figures)}))
            end = here(*shlex.split(call), "--plot", "a.png")
            assert end.code == 0, end.err
    return found


UNITS = ("days", "bytes", "parameters", "tokens", "FLOP", "loss", "layers", "time", "count")


@pytest.mark.parametrize("name", DRAWN)
def test_pictures(name: str, asked: dict[str, list[Figure]]) -> None:
    """No word is cut, or stands on another, or on a line; each axis says its unit; light and dark, of one size."""
    legible(asked[name])
    for drawn in asked[name]:
        axes = [drawn.x.title, drawn.y.title] if isinstance(drawn, Curves) else [drawn.unit]
        kinds = [drawn.x.kind, drawn.y.kind] if isinstance(drawn, Curves) else [drawn.kind]
        for title, kind in zip(axes, kinds, strict=True):
            assert any(unit in title for unit in UNITS) or kind in ("time", "bytes", "flops"), title  # whose ticks have units
        assert max(map(len, text(drawn, 80))) <= 80 and max(map(len, text(drawn, 200))) <= 200
    light, dark = (image_of(asked[name], dark) for dark in (False, True))
    assert light[16:24] == dark[16:24] and light != dark, "width and height stand in a PNG's header"


def image_of(figures: list[Figure], dark: bool) -> bytes:
    from llmcx.report.image import drawn

    return drawn(figures, "png", dark)


def test_what_pictures_answer(asked: dict[str, list[Figure]]) -> None:
    """Days, dollars and what a step is spent on; users at once; the model and the optima; the budget; the objective."""
    [days, roof] = asked["run"]
    assert isinstance(days, Bars) and days.unit == "days" and "$" in days.bars[0].note and " days (" in days.bars[0].note
    assert "data-parallel traffic" in days.parts() and isinstance(roof, Curves)
    [frontier, _] = asked["serve"]
    assert isinstance(frontier, Curves) and [one for _, _, one in frontier.dots()][:4] == ["1 user", "2", "4", "8"]
    [loss] = asked["chinchilla"]
    assert isinstance(loss, Curves) and loss.marks[0].label.startswith("Llama 3 8B: 8.03 B parameters on 15 T tokens")
    assert {one.partition(":")[0] for _, _, one in loss.dots()} - {""} == {one.label for one in loss.lines()}
    for x, y, one in loss.dots():
        if one:  # an optimum stands on its curve's lowest point
            curve = next(line for line in loss.lines() if line.label == one.partition(":")[0])
            assert y == min(height for _, height in curve.points) and x == pytest.approx(
                min(curve.points, key=lambda p: p[1])[0], rel=0.2
            )
    [held] = asked["memory"]
    assert isinstance(held, Bars) and held.limit is not None and held.bars[-1].total > held.limit
    [growth] = asked["flops"]
    assert isinstance(growth, Curves) and "73,990" in growth.marks[0].label
    [plan] = asked["plan"]
    assert isinstance(plan, Curves) and plan.marks[0].x == 0.02 and any(line.label.startswith("1. ") for line in plan.lines())


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
