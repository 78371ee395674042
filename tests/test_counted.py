"""A pass counted from three numbers of sequences is the pass lowered for each: op by op, in whole numbers."""

from __future__ import annotations

import pytest

from llmcx.catalog.data import load_hardware
from llmcx.catalog.presets import load_preset
from llmcx.engines.counted import counted
from llmcx.engines.serving_time import Server, Setup

DENSE = (Setup(), Setup(tp=8), Setup(tp=8, attention_dp=4))
DIVIDED = {
    "mamba2-2.7b": (Setup(),),
    **dict.fromkeys(("llama-3-8b", "gemma-3-27b"), DENSE),
    **dict.fromkeys(("deepseek-v3", "gpt-oss-120b", "qwen3-next-80b-a3b"), (*DENSE, Setup(tp=8, ep=8, attention_dp=8))),
}


@pytest.mark.parametrize(("name", "setup"), [(name, setup) for name, setups in DIVIDED.items() for setup in setups])
def test_any_number_of_sequences(name: str, setup: Setup) -> None:
    server = Server(load_preset(name), load_hardware("h100"), setup)
    for tokens in (1, 4):
        for batch in (1, 7, 8, 24, 100, 4096, 10**6):
            server.decode(batch, 3000, tokens)
            assert server._steps[3000, tokens].at(batch) == counted(server.step_ops(batch, 3000, tokens)), batch
