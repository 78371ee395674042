"""The figures of each command's answer: its numbers as they stand in the answer, put on axes or in bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from llmcx.errors import InputError
from llmcx.report.attention_compare import MEASURES
from llmcx.report.figure import Axis, Bar, Bars, Curves, Figure, Mark, Series
from llmcx.report.format import cell, tick
from llmcx.report.render import Answer, Item, title, varying


def _names(items: list[Item]) -> list[str]:
    """Each item by its model, and where that is not enough by what differs between them."""
    unlike = varying(items)
    named = [str(item.model["name"]) for item in items if item.model]
    if len(set(named)) == len(items) > 1:
        return named
    with_model = len(set(named)) > 1 or not unlike
    names = [[str(item.model["name"])] if item.model and with_model else [] for item in items]
    settings = [[f"{key} {_short(item.inputs.get(key))}" for key in unlike] for item in items]
    return [", ".join(name + each) for name, each in zip(names, settings, strict=True)]


def _short(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _prefixed(items: list[Item]) -> list[tuple[str, Item]]:
    """Each item after what stands before its labels: its name, where there are several."""
    return [(f"{name}, " if len(items) > 1 else "", item) for name, item in zip(_names(items), items, strict=True)]


def _heading(items: list[Item], what: str) -> str:
    """``what`` after the model's name, where all items are of one model."""
    names = {title(item) for item in items} - {""}
    return f"{names.pop()}: {what}" if len(names) == 1 else what[:1].upper() + what[1:]


def _params(items: list[Item]) -> list[Figure]:
    """Components of one model; several models each as one bar of its main parts."""
    if len(items) == 1:
        bars = [Bar(row.component, {"parameters": row.params}) for row in items[0].result.components]
        return [Bars(f"{title(items[0])}: parameters by component", "count", "parameters", bars)]
    bars = []
    for name, item in zip(_names(items), items, strict=True):
        parts: dict[str, int] = {}
        for row in item.result.components:
            part = row.component.partition(".")[0]
            parts[part] = parts.get(part, 0) + row.params
        bars.append(Bar(name, parts))
    return [Bars(_heading(items, "parameters by part"), "count", "parameters", bars)]


def _flops(items: list[Item]) -> list[Figure]:
    """How a forward pass grows with the length: one model's parts, several models' totals."""
    unlike = {repr((item.model, *(item.inputs.get(key) for key in ("causal", *_SHAPE)))): item for item in items}
    once = list(unlike.values())
    x, y = Axis("tokens per sequence", "length"), Axis("FLOPs, forward pass of one sequence", "flops")
    if len(once) == 1:
        rows, crossing = once[0].more()  # type: ignore[misc]
        names = {"linear": "matrices, n d²", "attention": "attention, n² d", "total": "total"}
        series = [Series(name, [(row.seq, getattr(row, key)) for row in rows]) for key, name in names.items()]
        inside = crossing is not None and rows[0].seq <= crossing <= rows[-1].seq
        marks = [Mark(crossing, f"attention is half from n = {crossing:,}")] if inside else []
        return [Curves(f"{title(once[0])}: growth with the length", x, y, series, marks)]
    series = []
    for name, item in zip(_names([item._replace(inputs=_shape(item)) for item in once]), once, strict=True):
        rows, crossing = item.more()  # type: ignore[misc]
        label = f"{name}, attention is half from n = {crossing:,}" if crossing else f"{name}, attention never half"
        series.append(Series(label, [(row.seq, row.total) for row in rows]))
    return [Curves(_heading(once, "growth with the length"), x, y, series)]


_SHAPE = (
    *("layers", "d_model", "heads", "kv_heads", "head_dim", "d_ff", "vocab", "positions", "context_length", "experts", "top_k"),
    *("experts_from", "window", "ffn", "norm", "attention", "bias", "tied"),
)
"""Inputs that make another model."""


def _shape(item: Item) -> dict[str, Any]:
    return {key: value for key, value in item.inputs.items() if key in _SHAPE}


def memory(items: list[Item]) -> list[Bars]:
    """Parts of a GPU's memory, of each pipeline stage or of each item, against the budget."""
    bars = []
    for name, item in zip(_names(items), items, strict=True):
        r = item.result
        stages = r.ranks if len(r.ranks) > 1 else [r]
        for stage in stages:
            label = "each GPU" if r.gpus > 1 else "memory"
            if len(stages) > 1:
                label = f"stage {stage.stage}, {stage.layers} layers, {stage.in_flight} in flight"
            label = label if len(items) == 1 else f"{name}, {label}" if len(stages) > 1 else name
            bars.append(Bar(label, {part.part: part.bytes for part in stage.parts}))
    limits = {item.result.budget_bytes for item in items}
    return [Bars(_heading(items, "memory of a GPU"), "bytes", "bytes", bars, limits.pop() if len(limits) == 1 else None)]


def _attention(items: list[Item]) -> list[Figure]:
    """The measure against the length."""
    field, kind, what = MEASURES[items[0].inputs["measure"]]
    series = []
    for prefix, item in _prefixed(items):
        lines: dict[str, list[tuple[float, float]]] = {}
        for row in item.result.rows:
            lines.setdefault(row.variant, []).append((row.seq, getattr(row, field)))
        series += [Series(prefix + variant, points) for variant, points in lines.items()]
    return [Curves(_heading(items, "cost by length"), Axis("tokens", "length"), Axis(what, kind), series)]


_PARTS = {"other": "attention and the rest", "shared": "shared experts", "met": "experts of a token", "idle": "idle experts"}


def moe(items: list[Item]) -> list[Bars]:
    """The parameters stored, and those that are active for one token."""
    bars = []
    for prefix, item in _prefixed(items):
        parts = {_PARTS[part]: size for part, size in item.result.shares.items()}
        bars.append(Bar(f"{prefix}stored", parts))
        bars.append(Bar(f"{prefix}active per token", {part: size for part, size in parts.items() if part != _PARTS["idle"]}))
    return [Bars(_heading(items, "parameters stored and active"), "count", "parameters", bars)]


def _chinchilla(items: list[Item]) -> list[Figure]:
    """IsoFLOP curves: loss over size at the first budget."""
    item, curves = items[0], items[0].more()  # type: ignore[misc]
    optima = {one.law: one for one in item.result["laws"]}
    figure = _isoflop(curves, f"Loss of models trained with {next(iter(optima.values())).compute:.3g} FLOPs, by law")
    series = [line._replace(named=False) for line in figure.series]
    for label, points in curves:
        n, loss = min(points, key=lambda point: point[1])
        best = optima.get(label)
        series.append(
            Series(
                label,
                [(best.params if best else n, loss)],
                False,
                [f"{label}: {tick(best.params if best else n, 'count')}"],
            )
        )
    stands = [one for one in item.result.get("standing", ()) if one.loss is not None]
    if not stands:
        return [figure._replace(series=series)]
    name, one = title(item) or "the model", stands[0]
    series += [Series(f"{name} by {each.law}", [(each.params, each.loss)], joined=False, texts=[""]) for each in stands]
    size, tokens = tick(one.params, "count"), tick(one.tokens, "count")
    return [
        figure._replace(
            series=series, marks=[Mark(one.params, f"{name}: {size} parameters on {tokens} tokens; at each curve its optimum")]
        )
    ]


def _fit(items: list[Item]) -> list[Figure]:
    """One's own runs and the law fitted to them."""
    runs, curves = items[0].more()  # type: ignore[misc]
    top = max(run.loss for run in runs)
    shown = [(label, [point for point in points if point[1] <= top]) for label, points in curves]
    figure = _isoflop(shown, f"{len(runs)} runs and the law fitted")
    dots = Series("runs", [(run.params, run.loss) for run in runs], joined=False)
    return [figure._replace(series=[dots, *figure.series])]


def _isoflop(curves: list[tuple[str, list[tuple[float, float]]]], heading: str) -> Curves:
    y = Axis("loss, nats per token", "loss", log=False)
    return Curves(heading, Axis("parameters", "count"), y, [Series(label, points) for label, points in curves])


def _roofline(roofline: Any, heading: str) -> Curves:
    """Points under the roof: the roof's line from the least intensity to a decade beyond the ridge."""
    points = [(one.intensity, one.rate) for one in roofline.placed]
    series = []
    ends = [*(x for x, _ in points), *(roof.ridge for roof in roofline.roofs)]
    for peak in dict.fromkeys(roof.flops_per_s for roof in roofline.roofs):
        same = [roof for roof in roofline.roofs if roof.flops_per_s == peak]
        xs = [min(ends) / 2, same[0].ridge, max(ends) * 2]
        name = f"{', '.join(roof.name for roof in same)} roof, {cell(round(peak), 'flops')}FLOP/s"
        series.append(Series(name, [(x, same[0].at(x)) for x in xs]))
    series += [
        Series(one.name.removeprefix("decode, "), [point], joined=False)
        for one, point in zip(roofline.placed, points, strict=True)
    ]
    return Curves(heading, Axis("FLOPs per byte", "number"), Axis("FLOP/s", "flops"), series)


def _train(items: list[Item]) -> list[Figure]:
    """Days, each part of a step with its share of them, and what they cost; then the pass under the roof of the accelerator."""
    from llmcx.engines.training_step import SPENT_ON  # there already

    bars = []
    for name, item in zip(_names(items), items, strict=True):
        t = item.result.training
        label = f"{t.gpus:,} × {item.inputs['hardware']}" if len({i.result.training.gpus for i in items}) == len(items) else name
        for what, of in (("estimate", t.estimate), ("ideal", t.ideal)):
            parts = {SPENT_ON[part]: of.days * spent / of.step_s for part, spent in of.step.items()}
            low, high = t.span("days")
            span = f" ({low:.3g} to {high:.3g})" if what == "estimate" else ""
            cost = "" if of.usd is None else f", ${of.usd:,.0f}"
            bars.append(Bar(f"{label or 'this layout'}, {what}", parts, f"{of.days:,.3g} days{span}{cost}"))
    what = f"days on {tick(items[0].result.training.tokens, 'count')} tokens, by what they are spent on"
    out: list[Figure] = [Bars(_heading(items, what), "float", "days", bars)]
    for name, item in zip(_names(items), items, strict=True) if len(items) == 1 else ():
        what = f"{title(item) or name}{f', {name}' if len(items) > 1 and title(item) != name else ''}"
        out.append(_roofline(item.more(), f"{what}: forward pass on one {item.inputs['hardware']}"))  # type: ignore[misc]
    return out


def _serve(items: list[Item]) -> list[Figure]:
    """The frontier of all items in one; each item's roofline after it."""
    x, y = Axis("time between a user's tokens", "time"), Axis("tokens/s of a GPU", "number")
    series = []
    for prefix, item in _prefixed(items):
        for what, said in (("estimate", "estimate"), ("ideal", "at the peaks")):
            points = getattr(item.result, what)
            texts = [f"{one.batch:,}" for one in points] if what == "estimate" else []
            if texts:
                texts[0] = f"{texts[0]} user" + "s" * (points[0].batch > 1)
            series.append(Series(prefix + said, [(one.tpot_s, one.tokens_per_s_gpu) for one in points], texts=texts))
    heading = "a user's speed and a GPU's tokens, by users at once"
    out: list[Figure] = [Curves(_heading(items, heading), x, y, series)]
    for name, item in zip(_names(items), items, strict=True):
        what = f"{title(item)}{f', {name}' if len(items) > 1 else ''}: a pass on one {item.inputs['hardware']}"
        out.append(_roofline(item.more(), what))  # type: ignore[misc]
    return out


def _plan(items: list[Item]) -> list[Figure]:
    """The frontier of each accelerator, the best that meet the objective, and the objective."""
    r, inputs = items[0].result, items[0].inputs
    x, y = Axis("time between a user's tokens", "time"), Axis("tokens/s of a GPU", "number")
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in r.frontier:
        lines.setdefault(one.hardware, []).append((one.tpot_s, one.tokens_per_s_gpu))
    series = [Series(f"frontier of {name}", points) for name, points in lines.items()]
    for place, one in enumerate(r.best, 1):
        price = "" if one.usd_per_million is None else f", ${one.usd_per_million:.3g}/M"
        text = f"{place}. {one.gpus} × {one.hardware}, {one.users:,} users{price}"
        series.append(Series(text, [(one.tpot_s, one.tokens_per_s_gpu)]))
    marks = []
    if inputs["tpot"] is not None:
        limit = f"{1e3 * inputs['tpot']:g} ms per token"
        marks = [Mark(inputs["tpot"], f"asked for at most {limit}{', nine times of ten' if inputs['confidence'] else ''}")]
    return [Curves(_heading(items, "what serves it best"), x, y, series, marks)]


def _shapes(items: list[Item]) -> list[Figure]:
    """Width over depth."""
    r = items[0].result
    equal = "FLOPs" if "flops" in items[0].inputs else "parameters"
    series = [Series(f"equal {equal}", [(row.n_layers, row.aspect_ratio) for row in r.shapes])]
    series += [Series(row.name, [(row.n_layers, row.aspect_ratio)], joined=False) for row in r.references]
    return [Curves("Aspect ratio by depth", Axis("layers"), Axis("d_model / layers"), series)]


def _accelerator(items: list[Item]) -> list[Figure]:
    one = items[0]
    return [_roofline(one.more(), f"{one.result.title}: roofs by number format")]  # type: ignore[misc]


PICTURES: dict[str, Callable[[list[Item]], Sequence[Figure]]] = {
    "params": _params,
    "flops": _flops,
    "memory": memory,
    "attention-compare": _attention,
    "moe": moe,
    "chinchilla": _chinchilla,
    "chinchilla-fit": _fit,
    "train": _train,
    "serve": _serve,
    "plan": _plan,
    "shapes": _shapes,
    "accelerator": _accelerator,
}
"""By the name of the view."""


def draw(answer: Answer, view: str, path: str, plain: bool = False) -> None:
    """The figures of an answer: in the terminal for "-", in words where ``plain``, else in a file.

    Raises InputError: no figure, nothing to draw, a package that is missing, or a file that cannot be written.
    """
    if view not in PICTURES:
        known = "params, flops, memory, attention-compare, moe, chinchilla, train, serve, plan, shapes and an accelerator"
        raise InputError(f"--plot: this answer has no picture; {known} have one", field="plot")
    figures = PICTURES[view](answer.items)
    if path != "-":
        from llmcx.report.image import write

        write(figures, path)
    elif plain:
        from llmcx.report.plain import described

        sys.stdout.write("\n".join(line for figure in figures for line in described(figure)) + "\n")
    else:
        from llmcx.report.plot import show

        show(figures)
