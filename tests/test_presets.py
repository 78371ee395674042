"""The presets against numbers that llmcx did not compute."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from llmcx.core.params import count, params
from llmcx.spec.build import validate
from llmcx.spec.presets import INDEX, MODELS, index, load_preset, names, read_yaml

# sum(p.numel() for p in model.parameters()) of the released configuration, built on the meta device by transformers 5.23.0
# with torch 2.13.0. GPT-3 has no release: GPT2Config with n_positions 2048 and the shape of Tables 2.1 and D.1.
BUILT_BY_TRANSFORMERS = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "gpt3-small": 125_226_240,
    "gpt3-medium": 355_871_744,
    "gpt3-large": 760_300_032,
    "gpt3-xl": 1_315_723_264,
    "gpt3-13b": 12_853_386_240,
    "gpt3-2.7b": 2_651_553_280,
    "gpt3-6.7b": 6_658_404_352,
    "gpt3-175b": 174_604_259_328,
    "llama-7b": 6_738_415_616,
    "llama-13b": 13_015_864_320,
    "llama-33b": 32_528_943_616,
    "llama-65b": 65_285_660_672,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "mixtral-8x7b": 46_702_792_704,
    "switch-base-128": 7_415_217_408,
    "switch-large-128": 26_309_291_008,
    # Built tied, plus the release's own head of vocabulary x width: untied, transformers also copies the token table into
    # each stack. For XXL the expert class was replaced by T5DenseGatedActDense, as transformers builds no gated Switch.
    "switch-xxl": 394_543_476_736 + 32_128 * 4_096,
    "switch-c": 1_571_261_049_120 + 32_128 * 2_080,
}

# Shapes that transformers has no class for: torch 2.13.0 modules (Linear, Embedding, LayerNorm, RMSNorm) stacked by hand on the
# meta device.
BUILT_BY_HAND = {
    "chinchilla-70b": 70_061_924_352,
}

EXACT = BUILT_BY_TRANSFORMERS | BUILT_BY_HAND

# Printed numbers off by more than half a unit of their last non-zero digit, in percent, and why.
LOOSELY_PRINTED = {
    "llama-65b": 0.2,  # 65.2B is cut off, not rounded
    "llama-3.1-405b": 0.3,  # 405B is cut off, not rounded
}

# The parameters that one token meets, as printed by the authors.
ACTIVE = {"mixtral-8x7b": "12.9B"}


def printed(text: str) -> tuple[Decimal, Decimal]:
    """The value of "65.2B" and half a unit of its last digit, a whole number's trailing zeros taken as rounding."""
    unit = {"M": 6, "B": 9, "T": 12}[text[-1]]
    number = Decimal(text[:-1])
    if number == number.to_integral_value() and "." not in text:
        number = number.normalize()
    last = Decimal(1).scaleb(int(number.as_tuple().exponent) + unit)
    return number.scaleb(unit), last / 2


def test_every_preset_has_an_outside_number() -> None:
    assert set(names()) == set(EXACT)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_exact_count(name: str) -> None:
    assert count(load_preset(name)) == EXACT[name]


@pytest.mark.parametrize("name", sorted(EXACT))
def test_published_rounding(name: str) -> None:
    spec = load_preset(name)
    assert spec.published_params is not None
    value, half_unit = printed(spec.published_params)
    error = abs(count(spec) - value)
    if name in LOOSELY_PRINTED:
        # An exception that is no longer needed should go.
        assert half_unit < error <= value * Decimal(LOOSELY_PRINTED[name]) / 100
    else:
        assert error <= half_unit


@pytest.mark.parametrize("name", sorted(ACTIVE))
def test_published_active(name: str) -> None:
    value, half_unit = printed(ACTIVE[name])
    assert abs(params(load_preset(name)).active - value) <= half_unit


@pytest.mark.parametrize("name", names())
def test_file(name: str) -> None:
    path = MODELS / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    assert not any(isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) for event in events)
    # load_preset trusts its files, so here they are held to the strict types of every part.
    spec = validate(yaml.safe_load(text), path.name)
    assert spec == load_preset(name)
    assert spec.name == name == path.stem
    assert spec.title and spec.family and spec.year and spec.context
    assert spec.source and spec.published_params and spec.published_source
    # A printed size without weights to check it rests on assumptions, and says so.
    assert spec.assumes or "config.json" in spec.source
    assert all(len(line) <= 130 for line in text.splitlines())


def test_aliases_are_unique_and_lower_case() -> None:
    taken = set(names())
    for name in names():
        for alias in load_preset(name).aliases:
            assert alias == alias.lower()
            assert alias not in taken, f"{alias} of {name} is taken"
            taken.add(alias)


@pytest.mark.parametrize("name", names())
def test_every_alias_loads_its_preset(name: str) -> None:
    spec = load_preset(name)
    for alias in spec.aliases:
        assert load_preset(alias) == spec


def test_index_is_current() -> None:
    """presets/index.json is what `python -m llmcx.spec.presets` writes."""
    assert INDEX.read_text(encoding="utf-8") == index()


def test_the_yaml_file_is_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that differs from its index entry is read itself."""
    from llmcx.spec import presets

    text = (MODELS / "gpt2.yaml").read_text(encoding="utf-8")
    (tmp_path / "gpt2.yaml").write_text(text.replace("50257", "50304"), encoding="utf-8")
    monkeypatch.setattr(presets, "MODELS", tmp_path)
    assert read_yaml(tmp_path / "gpt2.yaml")["embedding"]["vocab"] == 50304
    assert load_preset("gpt2").embedding.vocab == 50304
