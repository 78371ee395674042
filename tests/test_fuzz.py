"""10,000 mutated config.json files: each gives an answer or a one-sentence refusal, and nothing else."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.flops import flops
from llmcx.answers.memory import memory
from llmcx.answers.params import params
from llmcx.errors import InputError
from llmcx.huggingface import from_config

GOLDEN = json.loads((Path(__file__).parent / "oracle" / "golden.json").read_text(encoding="utf-8"))
# One base a family and option, so that every reader and every branch of it is mutated.
BASES: list[dict[str, Any]] = [case["config"] for case in GOLDEN["cases"]]
ROUNDS, PARTS = 10_000, 20
NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 7, 10**9, 10**15, 10**16, 2**63, 10**400, 0.5, 64.0, -0.0, 1e308,
    float("inf"), float("nan"), "", "64", "silu", "none", "\x1b[31mred\n", "x" * 10_000, [], [1], [None],
    ["full_attention"], [0] * 1000, {}, {"a": 1}, {"type": "x"}, [[]], ["mamba", "attention"], {"rope_type": "default"},
]  # fmt: skip


def mutate(config: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """One to three changes: another value, a key gone, a key new, a value of another key."""
    config = copy.deepcopy(config)
    for _ in range(draw.randint(1, 3)):
        keys = sorted(config)
        key = draw.choice(keys) if keys else "model_type"
        change = draw.randrange(6)
        if change == 0:
            config.pop(key, None)
        elif change == 1:
            config[draw.choice(["hidden_dim", "n_layers", "num_experts", "layer_types", "sliding_window", "head_dim"])] = (
                draw.choice(NASTY)
            )
        elif change == 2 and isinstance(config.get(key), int):
            config[key] = config[key] * draw.choice([-1, 2, 3, 1000, 10**12]) + draw.choice([0, 1])
        elif change == 3 and len(keys) > 1:
            config[key] = copy.deepcopy(config[draw.choice(keys)])
        elif change == 4 and isinstance(config.get(key), dict):
            config[key] = mutate(config[key], draw)
        else:
            config[key] = draw.choice(NASTY)
    return config


def answer(config: dict[str, Any]) -> None:
    spec = from_config(config, "config.json")
    assert params(spec).total > 0
    assert flops(spec, 1, min(spec.embedding.positions or 16, 16), source=16).forward.total >= 0
    assert memory(spec, 1, min(spec.embedding.positions or 16, 16), train=True).total_bytes > 0


@pytest.mark.parametrize("part", range(PARTS))
def test_mutated_configs(part: int) -> None:
    draw = random.Random(f"fuzz {part}")
    for number in range(ROUNDS // PARTS):
        config = mutate(BASES[(number * PARTS + part) % len(BASES)], draw)
        try:
            answer(config)
        except InputError as refusal:
            said = str(refusal)
            assert said and "\n" not in said and len(said) < 600, said
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error} for {json.dumps(config)[:2000]}")
