"""SGLang's pools beside what servers logged when they started (tests/oracle/sglang_starts.csv), and its defaults by hand."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from statistics import median

import pytest

from llmcx.answers.log import explain_log
from llmcx.answers.log_formats import weights_of
from llmcx.catalog.data import load_accelerators
from llmcx.catalog.load import from_data, load_preset
from llmcx.engines import Kept
from llmcx.engines.inference_memory import held, kept
from llmcx.engines.logs import read
from llmcx.engines.sglang import ALONE, LINKED, MIB, SGLang, defaults, fraction, reserve
from llmcx.formats import dtypes
from llmcx.model.run import step_at
from llmcx.model.spec import ModelSpec
from llmcx.parallel.division import division
from llmcx.parallel.layout import Layout
from llmcx.parallel.pipeline import stages
from llmcx.parallel.ranks import pieces
from tests.helpers import between, data, refused, write_between

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/engines.md"
GIB = 2**30
ROUNDED = 0.0051
"""GiB: logs write two decimals."""
GOLDEN = json.loads((ROOT / "tests/oracle/sglang.json").read_text(encoding="utf-8"))
QWEN35_9B = {
    "model_type": "qwen3_5_text",
    **{"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 256},
    **{"intermediate_size": 12288, "vocab_size": 248320, "linear_num_key_heads": 16, "linear_num_value_heads": 32},
    **{"linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "full_attention_interval": 4},
}
"""As the log's own page lists it."""

Row = dict[str, str]


def starts() -> list[Row]:
    with (ROOT / "tests/oracle/sglang_starts.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def shape(name: str) -> ModelSpec:
    return from_data(QWEN35_9B, name) if name == "qwen3.5-9b" else load_preset(name)


def cached(row: Row) -> tuple[Kept, ...]:
    """The caches of a GPU's layers."""
    spec, layout = shape(row["shape"]), Layout(tp=int(row["tp"]))
    [stage] = stages(spec.runs, 1)
    return kept(spec, pieces(spec, step_at(1), division(layout)), stage)


def pool(row: Row) -> float:
    """GiB of the cache, from the accelerator, the share and the weights; these as they were logged where they were."""
    spec, layout = shape(row["shape"]), Layout(tp=int(row["tp"]))
    visible = load_accelerators(row["gpu"])[0].visible_bytes
    engine = SGLang(memory=visible)
    if row["weights"]:
        weights = float(row["weights"])
    else:
        [gpu] = held(spec, 1, 1, layout, engine)
        weights = weights_of(spec, gpu, row["dtype"], True) / GIB
    rest = float(row["fraction"]) * (visible - engine.outside(layout.gpus)) / GIB - weights
    return rest - float(row["state"] or 0)


STARTS = starts()
SIZED = [row for row in STARTS if row["tokens"]]
KNOWN = [row for row in STARTS if row["gpu"] and row["fraction"]]
OFF = {id(row): pool(row) / float(row["pool"]) - 1 for row in KNOWN}


def name(row: Row) -> str:
    return f"{row['model']}-{row['tokens'] or row['pool']}"


def on_gpu(preset: str, tp: int) -> tuple[Kept, ...]:
    """The caches of a GPU's layers."""
    spec = load_preset(preset)
    [stage] = stages(spec.runs, 1)
    return kept(spec, pieces(spec, step_at(1), division(Layout(tp=tp))), stage)


def test_shares_are_sglangs_own() -> None:
    """mem_fraction_static, the chunk and the largest graph, as its code answers (tests/oracle/sglang_pools.py)."""
    for row in GOLDEN["shares"]:
        chunk, graphs = defaults(row["memory"] * MIB, row["tp"])
        graphs = min(graphs, row["max_running_requests"] or graphs)
        found = fraction(row["memory"] * MIB, chunk, graphs, row["tp"], row["latent"])
        assert (chunk, graphs, found) == (row["chunk"], row["graphs"], row["share"]), row


def test_tokens_are_sglangs_own() -> None:
    """Keys and values, latents and windows; tensor parallelism beyond the heads; pages of 64; fp8."""
    for row in GOLDEN["pools"]:
        room = SGLang(block=row["block"]).room(on_gpu(row["model"], row["tp"]), row["pool"], row["bytes"])
        assert (room.tokens, room.windowed) == (row["tokens"], row["windowed"]), row


def test_enough_starts() -> None:
    assert len(STARTS) >= 20
    fit, tested = ({row["model"] for row in STARTS if row["role"] == role} for role in ("fit", "test"))
    assert fit and tested and not fit & tested


@pytest.mark.parametrize("row", SIZED, ids=name)
def test_tokens_of_a_pool(row: Row) -> None:
    """max_total_num_tokens of the pool that was logged, as exactly as its digits say; MHA, MLA, in bf16 and fp8, hybrids."""
    cell = SGLang().cell(cached(row), dtypes.per_element(row["kv_dtype"]))
    assert cell.bytes * int(row["tokens"]) / GIB == pytest.approx(float(row["pool"]), abs=2 * ROUNDED)


@pytest.mark.parametrize("row", [row for row in STARTS if row["slots"]], ids=name)
def test_slots_of_states(row: Row) -> None:
    """One slot more is allocated than counted; the two that are logged are rounded apart."""
    cell = SGLang().cell(cached(row), 2)
    assert cell.state * (int(row["slots"]) + 1) / GIB == pytest.approx(float(row["state"]), abs=2 * ROUNDED)


@pytest.mark.parametrize("row", [row for row in STARTS if row["before"] and row["weights"] and row["fraction"]], ids=name)
def test_the_pool_is_a_share_of_what_was_free(row: Row) -> None:
    """share × free before - weights, to the digits that were logged (the share has three)."""
    rest = float(row["fraction"]) * float(row["before"]) - float(row["weights"]) - float(row["state"] or 0)
    assert rest == pytest.approx(float(row["pool"]), abs=0.03 + 0.0005 * float(row["before"]))


def test_states_and_cache_share_the_rest() -> None:
    """Qwen3.5-9B on two RTX 4090: 0.8 × 22.93 - 8.85 = 9.49 GiB, of which 0.9 / 1.9 is states: 186 slots; the
    tokens are as exact as 9.49 is.
    """
    [row] = [row for row in STARTS if row["model"] == "Qwen3.5-9B"]
    room = SGLang().room(cached(row), int((0.8 * 22.93 - 8.85) * GIB), 2)
    assert room.slots == 186 and room.tokens == pytest.approx(327_310, rel=0.004)


def test_a_window_has_a_share_of_its_own() -> None:
    """gpt-oss-20b: 12 full and 12 windowed layers of 8 × 64 × 2 × 2 B a token; windows have 0.8 of the tokens. Logged in
    sgl-project/sglang issue 24589 of another model: 127,866 and 102,292 tokens.
    """
    layers = on_gpu("gpt-oss-20b", 1)
    each = 12 * 8 * 64 * 2 * 2
    room = SGLang().room(layers, int(1.8 * each * 127_866.5), 2)
    assert room[:2] == (127_866, 102_292)
    # Gemma 3 has no such pool: every layer keeps every token
    assert SGLang().cell(on_gpu("gemma-3-4b", 1), 2).full == 34 * 4 * 256 * 2 * 2


def test_sparse_attention_in_fp8() -> None:
    """GLM-5 with fp8, a log of 2026-02-26: 186.77 GiB for 3,262,823 tokens in 78 layers: 788 B, of which 132 the indexer's."""
    cell = SGLang().cell(on_gpu("deepseek-v3.2", 8), 1)
    assert cell.full == 61 * 788 and round(78 * 788 * 3_262_823 / GIB, 2) == 186.77


def test_defaults_are_by_memory() -> None:
    """arg_groups/memory_hook.py by hand: 512 + 1.5 × 8192 + 128 + 2 × 256 + 8 × 58 = 13,904 MiB of 81,559: 0.830, which the start
    of Qwen3-30B-A3B-FP8 of 2026-08-27 had: (35.98 + 29.15) / 78.48.
    """
    h100 = 81559 * MIB
    assert reserve(h100, 8192, 256, 1) == 13_904 * MIB and fraction(h100, 8192, 256, 1) == 0.830
    assert pytest.approx(0.830, abs=0.001) == (35.98 + 29.15) / 78.48
    assert fraction(h100, 8192, 256, 1, latent=True) == round((81559 - 14976) / 81559, 3)
    assert defaults(16 * GIB) == (2048, 8) and defaults(24 * GIB, tp=4) == (4096, 160) and defaults(180 * GIB) == (16384, 512)


def test_the_pool_of_an_accelerator() -> None:
    """KV GiB from the accelerator alone. The goal is 3% in the median and 8% at worst; docs/engines.md says what misses it."""
    fit = [abs(OFF[id(row)]) for row in KNOWN if row["role"] == "fit"]
    tested = [abs(OFF[id(row)]) for row in KNOWN if row["role"] == "test"]
    assert len(tested) >= 5 and max(fit) < 0.02
    assert median(tested) < 0.03
    assert sum(off > 0.08 for off in tested) <= 1


def test_memory_and_serve_hold_the_same() -> None:
    """The largest batch of memory is serve's; and the logged tokens of Llama 3.1 8B make as many users at that share."""
    asked = ("llama-3.1-8b", "--engine", "sglang", "--hardware", "h100", "--utilization", "0.88")
    batch = data("memory", *asked, "--seq", "8192", "--fit", "batch")["result"]["fit"]["value"]
    assert batch == 444_500 // 8192
    served = data("serve", *asked, "--prompt", "8191", "--output", "1")["result"]["largest_batch"]
    assert served == batch
    row = data("attention-compare", *asked, "--seq", "8k", "--variant", "causal_flash")["result"]["rows"][0]
    assert row["kv_bytes"] == 8192 * 131_072 and row["max_seq"] == pytest.approx(444_500, rel=0.02)


def test_what_is_reserved_is_the_rest() -> None:
    """Weights and cache at most the share of what is free: (1 - 0.85) × (visible - outside) is kept."""
    parts = {
        part["part"]: part["bytes"]
        for part in data(
            "memory", "llama-3.1-8b", "--engine", "sglang", "--seq", "8k", "--hardware", "h100", "--utilization", "0.85"
        )["result"]["parts"]
    }
    visible = int(79.19 * GIB)
    assert parts["overhead"] == ALONE < LINKED
    assert parts["workspace"] == pytest.approx(0.15 * (visible - ALONE), abs=1)


def test_its_own_flags_are_taken() -> None:
    ours = (
        "--utilization",
        "0.8",
        "--max-num-batched-tokens",
        "4k",
        "--tp",
        "2",
        "--kv-dtype",
        "fp8",
        "--seq",
        "16k",
        "--block",
        "64",
    )
    theirs = ("--mem-fraction-static", "0.8", "--chunked-prefill-size", "4k", "--tp-size", "2", "--kv-cache-dtype", "fp8")
    theirs += ("--max-seq-len", "16k", "--page-size", "64")
    asked = ("memory", "llama-3.1-8b", "--engine", "sglang", "--hardware", "2xh100", "--max-num-seqs", "64")
    assert data(*asked, *ours) == data(*asked[:-2], "--max-running-requests", "64", *theirs)
    assert data(*asked, "--context-length", "32k", "--seq", "32k")["inputs"]["seq"] == 32 * 1024


def test_what_is_not_known_is_refused() -> None:
    assert "fp8" in refused("memory", "llama-3.1-8b", "--engine", "sglang", "--seq", "8k", "--kv-dtype", "q8_0")
    assert "--engine ideal" in refused("memory", "recurrentgemma-9b", "--engine", "sglang", "--seq", "8k")
    assert "--engine ideal" in refused("memory", "t5-large", "--engine", "sglang", "--seq", "512")


LOG = """
[2026-08-27 03:45:20] server_args=ServerArgs(model_path='Qwen/Qwen3.5-9B', tp_size=2, mem_fraction_static=0.8, context_length=262144)
[2026-04-14 16:08:44 TP1] Load weight begin. avail mem=22.93 GB
[2026-04-14 16:08:49 TP1] Load weight end. elapsed=5.46 s, type=Qwen3_5ForConditionalGeneration, avail mem=14.08 GB, mem usage=8.85 GB.
[2026-04-14 16:08:49 TP0] Using KV cache dtype: torch.bfloat16
[2026-04-14 16:08:49 TP0] Mamba Cache is allocated. max_mamba_cache_size: 186, conv_state size: 0.10GB, ssm_state size: 4.38GB
[2026-04-14 16:08:49 TP0] KV Cache is allocated. #tokens: 327310, K size: 2.50 GB, V size: 2.50 GB
[2026-04-14 16:08:49 TP0] Memory pool end. avail mem=4.49 GB
"""  # noqa: E501


def test_explain_log_predicts_the_pools() -> None:
    """The language model is smaller than the start, which has a vision tower too: 0.43 GiB a GPU."""
    found, _ = explain_log(read(LOG.strip().splitlines(keepends=True)), shape("qwen3.5-9b"))
    terms = {term.term: term for term in found.terms}
    assert terms["weights"].predicted == pytest.approx((8.85 - 0.43) * GIB, rel=0.01)
    assert terms["kv_tokens_of_pool"].share == pytest.approx(0, abs=0.002)
    assert terms["state"].logged == pytest.approx(4.48 * GIB) and abs(terms["state"].share or 1) < 0.06
    assert abs(terms["kv_tokens"].share or 1) < 0.06


def table() -> str:
    """Start by start."""
    rows = ["| model | GPU | tp | cache | tokens logged | of the pool | pool, GiB | predicted |"]
    rows.append("| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for row in STARTS:
        cell = SGLang().cell(cached(row), dtypes.per_element(row["kv_dtype"]))
        of_pool = f"{float(row['pool']) * GIB / cell.bytes / int(row['tokens']) - 1:+.2%}" if row["tokens"] else ""
        tokens = f"{int(row['tokens']):,}" if row["tokens"] else ""
        known = f"{OFF[id(row)]:+.1%}{' (fit)' * (row['role'] == 'fit')}" if id(row) in OFF else ""
        cells = (row["model"], row["gpu"], row["tp"], row["kv_dtype"], tokens, of_pool, row["pool"], known)
        rows.append(f"| {' | '.join(cells)} |")
    sizes = sorted(abs(OFF[id(row)]) for row in KNOWN if row["role"] == "test")
    cases, pools, version = len(GOLDEN["shares"]), len(GOLDEN["pools"]), GOLDEN["versions"]["sglang"]
    asked = (
        f"Asked on a CPU, SGLang {version}'s own arithmetic gives the same default share, chunk and graph in all {cases} cases, "
        f"and the same tokens in all {pools} pools.\n\n"
    )
    summary = (
        f"Tokens follow from the pool to the digits that were logged, in {len(SIZED)} starts. The pool itself, from the "
        f"accelerator alone, in {len(sizes)} starts that gave no constant: median error {median(sizes):.1%}, worst "
        f"{sizes[-1]:.1%}, {sum(size > 0.08 for size in sizes)} above 8%."
    )
    return asked + "\n".join(rows) + f"\n\n{summary}"


def test_table_is_current() -> None:
    """`python tests/test_sglang.py` writes it."""
    assert between(PAGE, "sglang") == table()


if __name__ == "__main__":
    write_between(PAGE, "sglang", table())
