"""What is kept of a prompt under transformers, beside the caches of real models (tests/oracle/caches.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.memory import memory
from llmcx.catalog.load import from_data, load_preset
from llmcx.engines import engine
from llmcx.model.spec import ModelSpec
from tests.helpers import between, data, write_between

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/engines.md"
GOLDEN = json.loads((ROOT / "tests/oracle/caches.json").read_text(encoding="utf-8"))
CASES = {case["config"]["model_type"]: case for case in GOLDEN["cases"]}
NOT_ALL = {
    "recurrent_gemma": "its attention keeps nothing outside of generate",
    "deepseek_v4": "tokens that wait to be compressed are counted as many as may wait",
    "dots3_note_text": "its indexer's keys are fp32, and counted as the cache's others",
    "dots3_note": "the same",
    "evolla": "keys and values of the protein are counted as kept, and are made anew in each step",
}


def kept(spec: ModelSpec, batch: int, seq: int, kv_dtype: str = "bf16", program: str = "transformers") -> dict[str, int]:
    parts = memory(spec, batch, seq, kv_dtype=kv_dtype, engine=engine(program)).parts
    return {part.part: part.bytes for part in parts if part.part in ("kv_cache", "state")}


def of(case: dict[str, Any]) -> tuple[int, int]:
    """llmcx's bytes, and those of the tensors that are no counters."""
    found = kept(from_data(case["config"], case["id"]), 2, 33)
    return sum(found.values()), sum(size for name, size in case["bytes"].items() if name != "int64")


@pytest.mark.parametrize("family", [family for family in CASES if family not in NOT_ALL])
def test_a_cache_is_transformers(family: str) -> None:
    found, expected = of(CASES[family])
    assert found == expected


def test_the_others_are_near() -> None:
    for family in NOT_ALL:
        found, expected = of(CASES[family])
        assert 0.7 * expected < found < 1.4 * expected, family


def test_states_are_fp32_and_never_quantised() -> None:
    """Falcon-Mamba's states are fp32, 2 sequences · 3 layers · 48 channels · 5 states, the last 3 inputs of filters bf16."""
    spec = from_data(CASES["falcon_mamba"]["config"], "falcon_mamba")
    assert kept(spec, 2, 33) == kept(spec, 2, 33, "int4") == {"state": 2 * 3 * 48 * (5 * 4 + 3 * 2)}


def test_gpt_neo_keeps_what_is_behind_its_window() -> None:
    """Window 8, 33 tokens, batch 3: 38,016 B (defects.md, "Engines"), for 4 layers of 4 heads of 6."""
    config = {"model_type": "gpt_neo", "hidden_size": 24, "num_layers": 4, "num_heads": 4, "window_size": 8, "vocab_size": 97}
    config |= {"attention_types": [[["global", "local"], 2]], "max_position_embeddings": 64}
    assert kept(from_data(config, "gpt_neo"), 3, 33) == {"kv_cache": 38_016}
    assert kept(from_data(config, "gpt_neo"), 3, 33, program="ideal")["kv_cache"] < 38_016


def test_mixers_with_states_answer_in_every_engine() -> None:
    """Mamba 2.8B: 64 layers of 5,120 channels, 16 states each, and a filter of 4: fp32 and bf16 under transformers."""
    spec = load_preset("mamba-2.8b")
    assert kept(spec, 1, 2048) == {"state": 64 * 5120 * (16 * 4 + 4 * 2)}
    assert kept(spec, 1, 2048, program="ideal") == {"state": 64 * 5120 * (16 + 4) * 2}
    assert data("memory", "mamba-2.8b", "--seq", "2k", "--engine", "transformers", "--kv-dtype", "int4")["result"]["parts"]


def test_xlstm_keeps_a_matrix_a_vector_and_a_number_for_each_head() -> None:
    """2 sequences, 3 layers of 2 heads of 32 · 64, 32 and 1 numbers in bf16, as transformers' xLSTMCache has them; the tiny model
    of the golden file does not run with a cache, which wants widths of 64.
    """
    config = {
        "model_type": "xlstm",
        "vocab_size": 101,
        "hidden_size": 128,
        "num_hidden_layers": 3,
        "num_blocks": 3,
        "num_heads": 2,
    }
    assert kept(from_data({**config, "embedding_dim": 128}, "xlstm"), 2, 33) == {"state": 2 * 3 * 2 * (32 * 64 + 32 + 1) * 2}


def table() -> str:
    equal = sum(found == expected for found, expected in map(of, CASES.values()))
    rest = "; ".join(f"{family}: {why}" for family, why in NOT_ALL.items())
    return (
        f"Bytes of the cache after a prompt, transformers {GOLDEN['transformers']}: equal for {equal} of {len(CASES)} families, "
        f"windows, latents, indexers, recurrent states and encoder-decoders among them. Not equal are {rest}."
    )


def test_table_is_current() -> None:
    """`python tests/test_caches.py` writes it."""
    assert between(PAGE, "caches") == table()


if __name__ == "__main__":
    write_between(PAGE, "caches", table())
