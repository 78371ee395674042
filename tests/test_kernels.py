"""Laws of kernels against measured kernels that their fit had not seen.

tests/oracle/kernels.csv holds a sample of those; where the whole tables are at hand (../shared/silicon), all of them are tried.
`PYTHONPATH=. python tests/test_kernels.py` writes docs/kernels.md anew.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from statistics import median as middle

import pytest

from llmcx.catalog.data import load_hardware
from llmcx.catalog.index import ROOT, data_of
from llmcx.catalog.index import names as offered
from llmcx.catalog.kernels import ELSEWHERE, GENERATIONS, NEAREST, TWINS, Row, generation, kinds, law, table
from llmcx.errors import InputError
from llmcx.machine.kernels import FORMATS, Peaks, gemm, peaks
from tests.oracle import kernel_laws as oracle

DOCS = Path(__file__).resolve().parents[1] / "docs"
ENGINES = {"trtllm": "TensorRT-LLM", "vllm": "vLLM", "sglang": "SGLang", "nccl": "NCCL"}

GOALS: dict[str, float] = {"gemm": 0.12} | dict.fromkeys(
    ("decode_attention", "prefill_attention", "latent_decode", "latent_prefill", "encoder_attention"), 0.12
)
"""Median error that a kind of op may have over all held-out rows."""

NOTES = {
    "gemm": [
        "vLLM's fp8_block was measured call by call: the host bounds what is small, and takes 57 to 380 us. The law keeps",
        "that apart (`gemm.timed`); `gemm.seconds` is the accelerator's own time, of which other engines' rows say what small",
        "matmuls take. Rows of an L40S and an RTX PRO 6000 were measured on operands that their large caches hold in some",
        "calls and not in others of the same size, and nothing known of a row says which: most of what is left on them. With",
        "`l2_bytes` 0 a law has no cache. Long matmuls are slower than their tiles: at the limit of power the clock sags",
        "(`sag`), on a B200 and a GB200 most, and not equally from run to run.",
    ]
}
"""What to know of a kind's measurements."""

SILICON = oracle.SILICON
whole = pytest.mark.skipif(
    not SILICON.is_dir(), reason=f"{SILICON} is not there: only the sample in tests/oracle/kernels.csv is tried"
)


def test_every_kind_has_a_fit_that_can_be_rerun() -> None:
    assert {kind.name for kind in oracle.kinds()} == set(kinds())


def test_the_constants_stay_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "kernels").iterdir()) < 200_000


@pytest.mark.parametrize("kind", oracle.kinds(), ids=lambda kind: kind.name)
def test_the_sample_was_held_out(kind: oracle.Kind) -> None:
    rows = oracle.read_sample()[kind.name]
    assert rows and all(oracle.held_out(kind.name, row.shape) for row in rows)
    assert {row.group for row in rows} == {(row.hardware, row.engine, row.dtype) for row in table(kind.name).rows}


def pairs(kind: oracle.Kind, rows: list[oracle.Row]) -> list[tuple[float, float]]:
    """Seconds of rows by the law that is shipped, and measured."""
    by = {}
    for group in {row.group for row in rows}:
        hardware = load_hardware(group[0])
        by[group] = law(kind.name, hardware, *group[1:]).constants, peaks(hardware, kind.arithmetic(group[2]))
    return [(kind.seconds(*by[row.group], *row.shape), row.seconds) for row in rows]


@pytest.mark.parametrize("kind", oracle.kinds(), ids=lambda kind: kind.name)
def test_the_sample_is_predicted(kind: oracle.Kind) -> None:
    found = oracle.errors(pairs(kind, oracle.read_sample()[kind.name]))
    assert found.median <= GOALS.get(kind.name, 0.15) * 1.2  # some hundred rows: noise


@whole
@pytest.mark.parametrize("kind", oracle.kinds(), ids=lambda kind: kind.name)
def test_all_held_out_rows_are_predicted(kind: oracle.Kind) -> None:
    """And the errors in presets/kernels are theirs."""
    stated = {
        (row["hardware"], row["engine"], row["dtype"]): row for row in data_of(ROOT / "kernels" / f"{kind.name}.yaml")["rows"]
    }
    every = []
    for group, rows in oracle.measured(kind).items():
        held = pairs(kind, [row for row in rows if oracle.held_out(kind.name, row.shape)])
        found = oracle.errors(held)
        assert (found.rows, round(found.median, 3)) == (stated[group]["held"], stated[group]["error"])
        every += held
    assert oracle.errors(every).median <= GOALS.get(kind.name, 0.15)


@pytest.mark.parametrize("kind", oracle.kinds(), ids=lambda kind: kind.name)
def test_many_at_once_are_the_same(kind: oracle.Kind) -> None:
    """What the fit calls, where it is another function than the law."""
    sample = oracle.read_sample()[kind.name]
    for row in table(kind.name).rows[::5]:
        of = oracle.peaks_of(row.hardware, kind.arithmetic(row.dtype))
        found = oracle.predicted(kind, row.law.constants, row.hardware, row.dtype, sample)
        assert list(found) == pytest.approx([kind.seconds(row.law.constants, of, *each.shape) for each in sample], rel=1e-9)


@pytest.mark.parametrize("name", offered("hardware"))
def test_every_accelerator_has_a_law(name: str) -> None:
    """And it says where it is from; a substitution widens the band."""
    hardware = load_hardware(name)
    for kind in kinds():
        for dtype in ("bf16", "fp8", "nvfp4"):
            found = law(kind, hardware, "transformers", dtype)
            assert 0 < found.low < 1 < found.high < inf
            assert found.stated.startswith("no measurement of transformers")
            assert found.high / found.low >= min(row.law.high / row.law.low for row in table(kind).rows)


def test_every_stand_in_was_measured() -> None:
    """By the matmuls: of each generation that stands in for another there is one."""
    measured = {generation(row.hardware) for row in table("gemm").rows}
    assert set(ELSEWHERE) == measured and all(set(others) <= measured for others in NEAREST.values())
    assert {*GENERATIONS} == {*NEAREST}


def test_every_nvidia_chip_has_kin() -> None:
    """A new one is put beside those whose kernels are alike, or it would go as another maker's."""
    for name in offered("hardware"):
        assert (generation(name) is None) == (load_hardware(name).vendor != "NVIDIA"), name
    assert {name for members in GENERATIONS.values() for name in members} <= set(offered("hardware"))
    assert all(len({generation(name) for name in chip}) == 1 for chip in TWINS)


def test_the_band_widens_with_the_distance() -> None:
    """An H100's own law, its twin's for an H800, its generation's for an H100 PCIe, another maker's."""
    names = "h100", "h800", "h100-pcie", "mi300x"
    widths = [found.high / found.low for found in (law("gemm", load_hardware(name), "vllm", "bf16") for name in names)]
    assert widths == sorted(widths) and widths[0] < 1.3 and widths[2] > 2


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        law("conv", load_hardware("h100"), "vllm", "bf16")
    assert refused.value.field == "kind"


def test_peaks_are_the_datasheets() -> None:
    """H100 SXM5: 1,979 TFLOP/s fp8, 3.35 TB/s, 132 SMs, 50 MB of L2, NVLink at 450 GB/s each way among 8 (NVIDIA, 2022)."""
    assert peaks(load_hardware("h100"), "fp8") == Peaks(1978.9e12, 3350e9, 132, 50 * 2**20, 450e9, 8)
    assert peaks(load_hardware("a100"), "fp8").flops == 624e12  # no fp8: its 8-bit integers
    assert peaks(load_hardware("a100"), "int4_wo").flops == 312e12  # unpacked to 16 bits


@whole
@pytest.mark.parametrize(("dtype", "goal"), [("bf16", 0.07), *((each, 0.12) for each in FORMATS if each != "bf16")])
def test_matmuls_of_each_format(dtype: str, goal: float) -> None:
    """On all accelerators and in all engines together."""
    kind = next(kind for kind in oracle.kinds() if kind.name == "gemm")
    rows = [row for group, rows in oracle.measured(kind).items() for row in rows if group[2] == dtype]
    held = [row for row in rows if oracle.held_out("gemm", row.shape)]
    if held:
        assert oracle.errors(pairs(kind, held)).median <= goal


@whole
def test_what_beats_the_datasheet_fits_the_cache() -> None:
    """No measured matmul multiplies faster than the datasheet says. A few hundred move their operands faster than the memory
    could: measured again and again on the same operands, which the shared cache still holds (to 2% of its size).
    """
    kind = next(kind for kind in oracle.kinds() if kind.name == "gemm")
    faster = 0
    for (hardware, _, dtype), rows in oracle.measured(kind).items():
        of, stored = oracle.peaks_of(hardware, dtype), FORMATS[dtype]
        for (m, n, k), seconds in ((row.shape, row.seconds) for row in rows):
            moved = m * k * stored.activation + n * k * stored.weight + m * n * gemm.OUTPUT
            assert 2 * m * n * k / of.flops < seconds
            if moved / of.bytes_per_s > seconds:
                assert moved < 1.02 * of.l2_bytes, (hardware, dtype, m, n, k)
                faster += 1
    assert faster > 300


def test_a_model_s_weights_come_from_memory() -> None:
    """With no cache in the peaks, no law beats the memory, whatever the benchmark's was measured with."""
    for row in table("gemm").rows:
        of = peaks(load_hardware(row.hardware), row.dtype)._replace(l2_bytes=0)
        for n, k in ((4096, 4096), (7168, 2048), (128, 256)):
            assert gemm.seconds(row.law.constants, of, 1, n, k) > n * k * FORMATS[row.dtype].weight / of.bytes_per_s


def test_an_unmeasured_format_is_stored_as_it_is() -> None:
    """mxfp4 weights on an H100 stand in by another format's law: with their own bytes, 4 bits and a byte of scale for 32."""
    found = law("gemm", load_hardware("h100"), "vllm", "mxfp4")
    assert (found.constants.weight, found.constants.activation) == (0.5 + 1 / 32, 2)
    assert found.stated.startswith("no measurement of vllm on h100 in mxfp4")


SIZES = (1, 7, 16, 100, 256, 1000, 4096, 20000)


@pytest.mark.parametrize("row", table("gemm").rows, ids=lambda row: f"{row.hardware}-{row.engine}-{row.dtype}")
def test_a_larger_matmul_takes_no_less(row: Row) -> None:
    """Nor does it beat the datasheet, as long as what it reads does not fit the cache."""
    of = peaks(load_hardware(row.hardware), row.dtype)
    constants, stored = row.law.constants, FORMATS[row.dtype]
    taken: dict[tuple[int, ...], float] = {}
    for m in SIZES:
        for n in SIZES:
            for k in SIZES:
                taken[m, n, k] = gemm.seconds(constants, of, m, n, k)
                assert isfinite(taken[m, n, k]) and taken[m, n, k] > 2 * m * n * k / of.flops
                read = n * k * stored.weight + m * k * stored.activation
                assert read < of.l2_bytes or taken[m, n, k] > read / of.bytes_per_s
    for place in range(3):
        for small, large in pairwise(SIZES):
            for shape in taken:
                if shape[place] == small:
                    assert taken[(*shape[:place], large, *shape[place + 1 :])] >= taken[shape] * 0.999, (shape, large)


WHAT = {
    "all_gather": "each GPU gets what all have",
    "all_reduce": "each GPU gets the sum of what all have",
    "all_to_all": "each GPU sends every other a part",
    "combine": "results of experts come back to their tokens, in large batches",
    "combine_low_latency": "the same, in small ones",
    "convolution_decode": "Mamba's short filter, one token",
    "convolution_prefill": "the same, a prompt",
    "decode_attention": "one new token looks at its cache",
    "dispatch": "tokens go to their experts, in large batches",
    "dispatch_low_latency": "the same, in small ones",
    "encoder_attention": "attention both ways, of towers and encoders",
    "experts": "the matrices of a mixture's experts",
    "gated_delta_decode": "Qwen3-Next's linear attention, one token",
    "gated_delta_prefill": "the same, a prompt",
    "mamba2_decode": "Mamba-2's state space, one token",
    "mamba2_prefill": "the same, a prompt",
    "gemm": "a matrix product",
    "latent_decode": "DeepSeek's latent attention, one token",
    "latent_prefill": "the same, a prompt",
    "prefill_attention": "a prompt's tokens look at each other",
    "reduce_scatter": "each GPU gets its part of a sum",
}
"""What a kind of kernel does, in a line."""


HEAD = """\
# How long a kernel takes

A kernel is one launch on a GPU: a matrix product, an attention, a message to other GPUs. llmcx estimates its time by a law, a
short formula of its shape, whose constants were fitted to measured kernels (`presets/kernels`, by
`tests/oracle/kernel_laws.py`). Half of the measured shapes went into the fit; the errors here are those on the other half. Each
kind has a table, with a row for each format, accelerator and engine that was measured:

| kind | what it does | rows | shapes held out | median error of the middle row | of nine rows in ten at most |
| --- | --- | ---: | ---: | ---: | ---: |
{summaries}

In the tables *fitted* and *held out* count shapes. An error is |predicted / measured - 1|: its *median*, and its *90th
percentile*. *bias* is the median of predicted / measured: at +5% the prediction is too long. Where a kernel was not measured in
a format, on an accelerator or with an engine, the law of the nearest one stands in for it, and the range of the estimate is the
wider one that is printed under the table.
"""


def summary(kind: str) -> str:
    """A kind's line at the head of the page: shapes held out, and the errors of the middle table, and of nine in ten."""
    rows = data_of(ROOT / "kernels" / f"{kind}.yaml")["rows"]
    errors = sorted(row["error"] for row in rows)
    held, most = sum(row["held"] for row in rows), errors[int(0.9 * len(errors))]
    return f"| [{kind}](#{kind}) | {WHAT.get(kind, '')} | {len(rows)} | {held:,} | {middle(errors):.1%} | {most:.1%} |"


def page() -> str:
    """docs/kernels.md."""
    lines = HEAD.format(summaries="\n".join(summary(kind) for kind in kinds())).split("\n")
    for kind in kinds():
        data = data_of(ROOT / "kernels" / f"{kind}.yaml")
        lines += [f"## {kind}", "", f"Source: {data['source']}; fitted {data['date']}.", ""]
        lines += [*NOTES[kind], ""] if kind in NOTES else []
        lines += ["| format | accelerator | engine | fitted | held out | median | 90th percentile | bias |", "| --- " * 8 + "|"]
        lines += [
            f"| {row['dtype']} | {row['hardware']} | {ENGINES.get(row['engine'], row['engine'])} | {row['rows']} | {row['held']}"
            f" | {row['error']:.1%} | {row['ninety']:.0%} | {1 / row['middle'] - 1:+.0%} |"
            for row in sorted(data["rows"], key=lambda row: (row["dtype"], row["hardware"], row["engine"]))
        ]
        lines += ["", "Where one law stands in for another, measured / predicted lies in these bands in 80% of the cases:", ""]
        lines += [f"- another {step}: {low:.2f} to {high:.2f}" for step, (low, high) in data["bands"].items()]
        lines += ["", "Error on an accelerator if nobody had measured it, median and 90th percentile:", ""]
        lines += [f"- {name}: {median:.1%}, {ninety:.0%}" for name, (median, ninety) in data.get("left_out", {}).items()]
        lines += [""]
    return "\n".join(lines)


def test_the_page_is_current() -> None:
    assert (DOCS / "kernels.md").read_text(encoding="utf-8") == page(), "run: PYTHONPATH=. python tests/test_kernels.py"


if __name__ == "__main__":
    (DOCS / "kernels.md").write_text(page(), encoding="utf-8")
