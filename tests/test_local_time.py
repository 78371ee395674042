"""Programs for one user, by hand: what is read, unpacked, waited for."""

from __future__ import annotations

from math import isclose

import pytest

from llmcx.answers.serve import estimator
from llmcx.catalog.data import load_hardware
from llmcx.catalog.index import offered
from llmcx.catalog.presets import load_preset
from llmcx.engines import engine
from llmcx.engines.efficiency import generation
from llmcx.engines.local_time import LOCAL, Local
from llmcx.engines.serving_time import Setup
from llmcx.errors import InputError

NOTHING = {"memory": 1.0, "prefill": 1.0, "prefill_unpacked": 1.0, "kernel_us": 0.0, "launch_us": 0.0, "unpack": 0.0}


def local(bits: float = 16.0, hardware: str = "m2-ultra", **numbers: float) -> Local:
    setup = Setup(weight_bits=bits)
    return Local(load_preset("llama-3-8b"), load_hardware(hardware), setup, engine("llama.cpp"), overrides={**NOTHING, **numbers})


def test_kernels_wait() -> None:
    """Llama 3 8B: two norms, seven matrices, a rotation, an attention, two sums and a product in each of 32 layers; a lookup,
    a table of angles, a last norm and the head: 452 kernels, 10 us each, of a token and of a prompt.
    """
    for of in (lambda each: each.decode(1, 128).total, lambda each: each.prefill(512).total):
        assert isclose(of(local(kernel_us=10.0)) - of(local()), 4.52e-3, rel_tol=1e-9)


def test_unpacking() -> None:
    """27.2 TFLOP/s of an M2 Ultra, ten operations a weight: of the 8.03 G parameters without the 0.525 G of the embedding, 7.5 G
    are met, 2.76 ms; of 16 bits there is nothing to unpack.
    """
    more = local(bits=4.9, unpack=10.0).decode(1, 128).total - local(bits=4.9).decode(1, 128).total
    assert isclose(more, 10 * 7.505e9 / 27.2e12, rel_tol=0.01)
    assert local(unpack=10.0).decode(1, 128) == local().decode(1, 128)


def test_kernels_hide_behind_launches_and_launches_behind_kernels() -> None:
    """A millisecond a layer is 32 ms, more than a token's reading at 800 GB/s (19 ms) takes; 100 us a layer hide."""
    assert isclose(local(launch_us=1000.0).decode(1, 128).total, 32e-3, rel_tol=1e-9)
    assert isclose(local(launch_us=100.0).decode(1, 128).total, local().decode(1, 128).total, rel_tol=1e-9)


def test_reading_takes_as_long_as_the_share_says() -> None:
    """At batch 1, half of the bandwidth: twice the time."""
    assert isclose(local(memory=0.5).decode(1, 128).total, 2 * local().decode(1, 128).total, rel_tol=1e-6)


def test_prompts_meet_quantised_weights_in_integers() -> None:
    """On an RTX 4090 at 660.6 Tera-operations/s: 6.98 G parameters in the layers' matrices, 512 tokens, 21.6 ms more at a quarter
    of the peak than at half; at 16 bits 165.2 TFLOP/s.
    """
    for bits, name, rate in ((4.9, "prefill_unpacked", 660.6e12), (16.0, "prefill", 165.2e12)):
        quarter, half = (local(bits, "rtx-4090", **{name: share}).prefill(512).compute for share in (0.25, 0.5))
        assert isclose(quarter - half, 2 * 2 * 6.98e9 * 512 / rate, rel_tol=0.01)


def test_tiles_of_experts_are_half_filled() -> None:
    """Qwen3 30B-A3B, 1,024 tokens in two pieces on an M2 Ultra: in each of 48 layers half a tile of 32 rows for each of 128
    experts, through three matrices of 2,048 x 768, at 27.2 TFLOP/s; nothing on CUDA, and nothing in a dense model.
    """
    spec, setup = load_preset("qwen3-30b-a3b"), Setup(weight_bits=4.9)
    of = Local(spec, load_hardware("m2-ultra"), setup, engine("llama.cpp"), overrides=NOTHING)
    of.machine = of.prompts
    assert isclose(of.part_filled(1024, 0, 1), 2 * 48 * 128 * 16 * 3 * 2 * 2048 * 768 / 27.2e12, rel_tol=1e-6)
    assert Local(spec, load_hardware("rtx-4090"), setup, engine("llama.cpp")).part_filled(1024, 0, 1) == 0
    assert local().part_filled(1024, 0, 1) == 0


@pytest.mark.parametrize("name", LOCAL)
def test_each_engine_has_times_and_bands(name: str) -> None:
    server, words = estimator(load_preset("llama-3-8b"), load_hardware("rtx-4090"), Setup(), engine(name), "bf16")
    assert isinstance(server, Local) and words
    ideal = Local(load_preset("llama-3-8b"), load_hardware("rtx-4090"), Setup(), engine(name), overrides=NOTHING)
    assert server.decode(1, 1024).total > ideal.decode(1, 1024).total
    bands = server.bands()
    assert bands.per_token[0] < bands.per_token[1] and bands.first[0] < bands.first[1]


@pytest.mark.parametrize("wrong", [{"memory": 1.5}, {"memory": 0.0}, {"kernel_us": -1.0}, {"decode": 0.9}])
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        local(**wrong)


@pytest.mark.parametrize("name", ["mlx", "exllamav2"])
def test_caches_by_hand(name: str) -> None:
    """257 tokens take 512 tokens' room: Llama 3 8B keeps 2 x 1,024 numbers in each of 32 layers, 2 bytes each."""
    server = Local(load_preset("llama-3-8b"), load_hardware("m4-max"), Setup(), engine(name))
    assert server.cache_bytes(257) == 512 * 32 * 2 * 1024 * 2


def test_a_chip_that_nobody_measured() -> None:
    """An RTX 4080 goes as an RTX 4090, in a range twice as wide in logarithms, and says so; an RTX A6000 as an RTX 3090, of its
    chip, but with 16-bit prompts, whose rate on a GeForce is half.
    """
    kin, other = (
        Local(load_preset("llama-3-8b"), load_hardware(f"rtx-{n}"), Setup(weight_bits=4.9), engine("llama.cpp"))
        for n in (4090, 4080)
    )
    assert kin.numbers() == other.numbers()
    for near, far in zip(kin.bands(), other.bands(), strict=True):
        assert tuple(far) == pytest.approx([end**2 for end in near])
    assert len(kin.sources()) == 1 and "was not measured on NVIDIA GeForce RTX 4080" in other.sources()[1]
    numbers = [
        Local(load_preset("llama-3-8b"), load_hardware(n), engine=engine("llama.cpp")).numbers()
        for n in ("rtx-3090", "rtx-a6000")
    ]
    assert numbers[0] | {"prefill": 0} == numbers[1] | {"prefill": 0}


def test_integers_of_blackwell_ultra() -> None:
    """A GB300 has 165 TOP/s of int8 beside 2,500 TFLOP/s of bf16: quantised weights meet prompts in bf16."""
    assert local(4.9, "gb300").prompts.matmul == 2500e12
    assert local(4.9, "b200").prompts.matmul == 4500e12


@pytest.mark.parametrize("name", offered("hardware"))
def test_apples_families(name: str) -> None:
    """Every Apple chip is told apart by Metal's family: apple7 is the M1, apple10 the M5."""
    chip = load_hardware(name)
    if chip.vendor == "Apple":
        assert generation(chip) == f"apple{int(name[1]) + 6 - (name[1] in '45')}"
