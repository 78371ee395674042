"""The presets against numbers that llmcx did not compute."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

import llmcx
from llmcx.answers.params import params
from llmcx.catalog.build import validate
from llmcx.catalog.index import INDEX, read_yaml
from llmcx.catalog.presets import MODELS, index, load_preset, names, summaries
from llmcx.costs.params import count
from tests.helpers import data, here

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
    "gpt-j-6b": 6_050_882_784,
    "gpt-neox-20b": 20_554_567_680,
    "pythia-2.8b": 2_775_208_960,
    "pythia-6.9b": 6_857_302_016,
    "pythia-12b": 11_846_072_320,
    "opt-1.3b": 1_315_758_080,
    "opt-6.7b": 6_658_473_984,
    "opt-66b": 65_719_701_504,
    "opt-175b": 174_604_468_224,
    "bloom-176b": 176_247_271_424,
    "mpt-7b": 6_649_024_512,
    "falcon-7b": 6_921_720_704,
    "falcon-40b": 41_303_293_952,
    "falcon-180b": 178_557_088_768,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "llama-4-scout": 107_769_861_120,
    "llama-4-maverick": 400_711_848_960,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x22b": 140_620_634_112,
    "gemma-2b": 2_506_172_416,
    "gemma-7b": 8_537_680_896,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2-27b": 27_227_128_320,
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 3_880_099_328,
    "gemma-3-12b": 11_765_788_416,
    "gemma-3-27b": 27_009_002_240,
    "phi-2": 2_779_683_840,
    "phi-3-mini": 3_821_079_552,
    "phi-4": 14_659_507_200,
    "qwen2-0.5b": 494_032_768,
    "qwen2-1.5b": 1_543_714_304,
    "qwen2-7b": 7_615_616_512,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-72b": 72_706_203_648,
    "qwen1.5-moe-a2.7b": 14_315_784_192,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-8b": 8_190_735_360,
    "qwen3-32b": 32_762_123_264,
    "qwen3-4b": 4_022_468_096,
    "qwen3-14b": 14_768_307_200,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
    "qwen3-coder-480b-a35b": 480_154_875_392,
    "qwen3-next-80b-a3b": 79_674_391_296,
    "qwen3.5-27b": 26_895_998_464,
    "qwen3.5-35b-a3b": 34_660_610_688,
    "qwen3.5-397b-a17b": 396_346_350_336,
    "deepseek-v2": 235_741_434_880,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_404_352,
    "deepseek-v3.2": 671_877_929_216,
    "kimi-k2": 1_026_408_209_408,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "olmo-7b": 6_888_095_744,
    "olmo-2-7b": 7_298_617_344,
    "olmo-2-13b": 13_716_198_400,
    "olmo-2-32b": 32_234_279_936,
    "olmoe-1b-7b": 6_919_161_856,
    "stablelm-3b": 2_795_443_200,
    "starcoder2-7b": 7_173_923_840,
    "aya-23-8b": 8_028_033_024,
    "glm-4.5": 352_797_814_784,
    "glm-4.5-air": 106_852_245_504,
    "minimax-m2": 228_689_748_992,
    "seed-oss-36b": 36_151_104_512,
    "exaone-4.0-32b": 32_003_216_384,
    "hunyuan-a13b": 80_393_183_232,
    "dbrx": 131_596_523_520,
    "nemotron-4-340b": 341_029_195_776,
    "nemotron-h-56b": 56_324_350_464,
    "nemotron-h-8b": 8_100_852_736,
    "nemotron-3-nano-30b": 31_577_937_344,
    "bamba-9b": 9_780_235_392,
    "falcon-h1-0.5b": 521_411_104,
    "mamba-2.8b": 2_768_345_600,
    "mamba2-2.7b": 2_702_599_680,
    "recurrentgemma-9b": 8_579_977_216,
    "rwkv-4-3b": 2_984_627_200,
    "rwkv-4-7b": 7_392_649_216,
    "rwkv-4-14b": 14_148_597_760,
    "t5-base": 222_903_552,
    "t5-large": 737_668_096,
    "t5-11b": 11_307_321_344,
    "bart-large": 406_291_456,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "electra-large": 335_142_913,
    "falcon-mamba-7b": 7_272_665_088,
    "codestral-mamba-7b": 7_285_403_648,
    "ministral-8b": 8_019_808_256,
    "zamba2-7b": 7_356_749_648,
    "jamba-1.5-mini": 51_570_323_328,
    "granite-4.0-h-tiny": 6_939_037_248,
    "falcon-h1-7b": 7_585_513_568,
    "minicpm3-4b": 4_073_875_968,
    "smollm3-3b": 3_075_098_624,
    "lfm2-2.6b": 2_569_272_320,
    "hunyuan-7b": 7_504_568_320,
    "phi-3.5-moe": 41_873_153_344,
    "glm-4-9b": 9_399_951_360,
    "roberta-base": 124_697_433,
    "roberta-large": 355_412_057,
    "starcoder2-3b": 3_030_371_328,
    "granite-3.1-2b": 2_533_531_648,
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "tinyllama-1.1b": 1_100_048_384,
    "codellama-34b": 33_744_232_448,
    "mistral-large-2": 122_610_069_504,
    "yi-34b": 34_388_917_248,
    "olmo-3-32b": 32_233_522_176,
    "olmo-3-7b": 7_298_011_136,
    "command-r-35b": 34_980_831_232,
    "ernie-4.5-21b-a3b": 21_825_437_888,
    "kimi-linear-48b-a3b": 49_122_675_072,
    "minimax-text-01": 456_089_655_296,
    "apertus-8b": 8_053_338_176,
    "gpt-neo-2.7b": 2_651_307_520,
    "gemma-4-26b-a4b": 25_233_141_760,
    "gemma-4-31b": 30_697_345_280,
    # Built tied, plus the release's own head of vocabulary x width: untied, transformers also copies the token table into
    # each stack. For XXL the expert class was replaced by T5DenseGatedActDense, as transformers builds no gated Switch.
    "switch-xxl": 394_543_476_736 + 32_128 * 4_096,
    "switch-c": 1_571_261_049_120 + 32_128 * 2_080,
    "mt5-xxl": 11_896_598_528 + 250_112 * 4_096,
}

# Shapes that transformers has no class for: torch 2.13.0 modules (Linear, Embedding, LayerNorm, RMSNorm) stacked by hand on the
# meta device.
BUILT_BY_HAND = {
    "chinchilla-70b": 70_061_924_352,
    # By hand, from model.py of xai-org/grok-1: table, then 64 x (q and out, k and v, 8 experts, router, 4 norms), last norm.
    "grok-1": 131_072 * 6_144 + 64 * (2 * 6_144**2 + 2 * 6_144 * 1_024 + 8 * 3 * 6_144 * 32_768 + 6_144 * 8 + 4 * 6_144) + 6_144,
}

# As the first, by transformers 5.19.0 with torch 2.13.0, the vision tower and its projector among them; of most of them the table
# of AlexsJones/llmfit has the same, from the weight files' headers.
BUILT_BY_5_19 = {
    "mistral-7b-v0.2": 7_241_732_096,
    "mistral-7b-v0.3": 7_248_023_552,
    "mistral-nemo-12b": 12_247_782_400,
    "mixtral-8x22b-inst": 140_630_071_296,
    "phi-3.5-mini": 3_821_079_552,
    "phi-4-mini": 3_836_021_760,
    "smollm2-1.7b": 1_711_376_384,
    "falcon3-7b": 7_455_550_464,
    "r1-distill-qwen-1.5b": 1_777_088_000,
    "qwen3-vl-2b": 2_127_532_032,
    "qwen3-vl-4b": 4_437_815_808,
    "qwen3-vl-8b": 8_767_123_696,
    "qwen3-vl-32b": 33_357_390_064,
    "qwen3-vl-30b-a3b": 31_070_754_032,
    "qwen3-vl-235b-a22b": 235_670_022_896,
    "qwen2.5-vl-3b": 3_754_622_976,
    "qwen2.5-vl-7b": 8_292_166_656,
    "qwen3.5-0.8b": 852_985_920,
    "qwen3.5-2b": 2_213_241_664,
    "qwen3.5-4b": 4_539_265_536,
    "qwen3.5-9b": 9_409_813_744,
    "qwen3.5-122b-a10b": 122_562_817_776,
    "nemotron-3-super-120b": 120_668_687_360,
    "glm-5": 743_911_199_232,
    "glm-5.2": 743_377_000_704,
    "deepseek-v4-pro": 1_572_997_179_491,
    "deepseek-v4-flash": 284_332_230_231,
    "nemotron-3-ultra-550b": 549_308_968_960,
    "kimi-k2.5": 1_026_879_353_328,
}

EXACT = BUILT_BY_TRANSFORMERS | BUILT_BY_5_19 | BUILT_BY_HAND

# Printed numbers off by more than half a unit of their last non-zero digit, in percent, and why.
LOOSELY_PRINTED = {
    # The size of GLM-5, of whose indexers three in four are left out.
    "glm-5.2": 0.1,
    # Cut off, not rounded: 65.2B, 405B, 1.23B, and the sizes in names.
    "llama-65b": 0.2,
    "llama-3.1-405b": 0.3,
    "llama-3.2-1b": 0.5,
    "phi-2": 3,
    "grok-1": 0.6,
    "qwen2-7b": 9,
    "qwen2.5-7b": 9,
    "qwen2.5-14b": 6,
    "qwen2.5-72b": 1,
    "olmo-2-13b": 6,
    "glm-4.5-air": 0.9,
    "falcon-h1-7b": 9,
    "hunyuan-7b": 8,
    "granite-3.1-2b": 27,
    "ernie-4.5-21b-a3b": 4,
    "kimi-linear-48b-a3b": 3,
    # The vision tower is counted in.
    "llama-4-scout": 1.2,
    "qwen3.5-397b-a17b": 0.2,
    "qwen3.5-122b-a10b": 0.5,
    "gemma-4-26b-a4b": 3,
    # The release also holds a multi-token prediction layer, which transformers does not build.
    "qwen3.5-0.8b": 3,
    "qwen3.5-2b": 3,
    "qwen3.5-4b": 3,
    "glm-4.5": 0.7,
    # V3's number, without the indexer.
    "deepseek-v3.2": 0.2,
}

# The parameters that one token meets, as printed by the authors or in the name.
ACTIVE = {
    "mixtral-8x7b": "12.9B",
    "mixtral-8x22b": "39B",
    "dbrx": "36B",
    "llama-4-scout": "17B",
    "llama-4-maverick": "17B",
    "deepseek-v2": "21B",
    "qwen1.5-moe-a2.7b": "2.7B",
    "qwen3-30b-a3b": "3B",
    "qwen3-235b-a22b": "22B",
    "qwen3-coder-480b-a35b": "35B",
    "qwen3.5-35b-a3b": "3B",
    "qwen3.5-397b-a17b": "17B",
    "olmoe-1b-7b": "1B",
    "hunyuan-a13b": "13B",
    "jamba-1.5-mini": "12B",
    "phi-3.5-moe": "6.6B",
    "granite-4.0-h-tiny": "1B",
    "ernie-4.5-21b-a3b": "3B",
    "kimi-linear-48b-a3b": "3B",
    "gemma-4-26b-a4b": "4B",
}

# The same where the authors leave the token table out, of which a token reads one row.
ACTIVE_WITHOUT_TABLE = {
    "gpt-oss-20b": "3.6B",
    "gpt-oss-120b": "5.1B",
    "deepseek-v3": "37B",
    "kimi-k2": "32B",
    "minimax-m2": "10B",
    "nemotron-3-nano-30b": "3B",
}

# Models whose source states no context: a state, or a window alone, sets no limit.
NO_CONTEXT = {"codestral-mamba-7b", "falcon-mamba-7b", "recurrentgemma-9b"}


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


@pytest.mark.parametrize("name", sorted(ACTIVE_WITHOUT_TABLE))
def test_published_active_without_the_token_table(name: str) -> None:
    value, half_unit = printed(ACTIVE_WITHOUT_TABLE[name])
    sizes = params(load_preset(name))
    assert abs(sizes.active - sizes.embedding - value) <= half_unit


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
    assert spec.title and spec.family and spec.year
    assert (spec.context is None) == (name in NO_CONTEXT)
    assert spec.source and spec.published_params and spec.published_source
    # A shape that was printed, not read from a file, rests on assumptions, and says so.
    assert spec.assumes or re.search(r"\w\.(json|ya?ml|gin|py|sh|slurm|md)\b|README", spec.source)
    assert all(len(line) <= 130 for line in text.splitlines())


def test_aliases_are_unique_and_lower_case() -> None:
    taken = set(names())
    for name in names():
        for alias in load_preset(name).aliases:
            assert alias == alias.lower()
            assert alias not in taken, f"{alias} of {name} is taken"  # NAME of ORG/NAME: tests/test_names.py
            taken.add(alias)


@pytest.mark.parametrize("name", names())
def test_every_alias_loads_its_preset(name: str) -> None:
    spec = load_preset(name)
    for alias in spec.aliases:
        assert load_preset(alias) == spec


def test_index_is_current() -> None:
    """The list of presets shows what the code at hand counts."""
    summaries()
    assert INDEX.read_text(encoding="utf-8") == index()


def test_the_yaml_file_is_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that differs from its index entry is read itself."""
    from llmcx.catalog import presets

    text = (MODELS / "gpt2.yaml").read_text(encoding="utf-8")
    (tmp_path / "gpt2.yaml").write_text(text.replace("50257", "50304"), encoding="utf-8")
    monkeypatch.setattr(presets, "MODELS", tmp_path)
    monkeypatch.setattr("llmcx.catalog.index.rewritten", lambda: False)  # the checkout's own index is of all presets
    assert read_yaml(tmp_path / "gpt2.yaml")["embedding"]["vocab"] == 50304
    assert load_preset("gpt2").embedding.vocab == 50304


def listed(*args: str) -> set[str]:
    return {row["name"] for row in data("catalog", "models", *args)["result"]}


def test_list_filters() -> None:
    """Each filter against a handful of models whose facts are known."""
    assert listed() == set(names())
    assert {"llama-7b", "llama-3.1-405b", "llama-4-scout"} <= listed("--family", "llama")
    assert not {"mistral-7b", "gpt2"} & listed("--family", "llama")
    assert listed("--moe") | listed("--dense") == set(names()) and not listed("--moe") & listed("--dense")
    assert {"mixtral-8x7b", "deepseek-v3", "switch-c"} <= listed("--moe")
    assert listed("--at-least", "1T") == {"switch-c", "kimi-k2", "kimi-k2.5", "deepseek-v4-pro"}
    assert "gpt2" in listed("--at-most", "200M") and "gpt2-xl" not in listed("--at-most", "200M")
    assert {"llama-3.1-8b", "llama-4-scout"} <= listed("--context", "128k") and "llama-2-7b" not in listed("--context", "128k")
    assert listed("--year", "2018") == {"bert-base", "bert-large"}
    assert listed("--family", "gemma3", "--dense", "--at-least", "10B") == {"gemma-3-12b", "gemma-3-27b"}


def test_list_refuses_an_unknown_family() -> None:
    end = here("catalog", "models", "--family", "lama")
    assert end.code == 2 and "did you mean llama" in end.err


def test_list_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns show the family, both sizes, the context and the year of every model, and say what they leave out."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = here("catalog", "models").out.splitlines()
    table, said = lines[: len(names()) + 2], " ".join(lines[len(names()) + 2 :])
    assert table[0].split() == ["preset", "family", "total", "active", "context", "year"]
    assert {line.split()[0] for line in table[2:]} == set(names()) and max(map(len, lines)) <= 80
    assert said.startswith("· ") and "parameters" in said and "title" in said


def test_a_changed_file_is_listed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index's counts are not taken for a file that differs from it."""
    from llmcx.catalog import presets

    text = (MODELS / "gpt2.yaml").read_text(encoding="utf-8")
    (tmp_path / "gpt2.yaml").write_text(text.replace("50257", "50304"), encoding="utf-8")
    monkeypatch.setattr(presets, "MODELS", tmp_path)
    monkeypatch.setattr("llmcx.catalog.index.rewritten", lambda: False)  # the checkout's own index is of all presets
    assert [row["total"] for row in presets.summaries()] == [BUILT_BY_TRANSFORMERS["gpt2"] + 47 * 768]


def test_from_python_by_path_or_alias() -> None:
    file = Path(__file__).resolve().parent.parent / "presets" / "models" / "gpt2.yaml"
    assert llmcx.params(file).total == llmcx.params(str(file)).total == llmcx.params("openai-community/gpt2").total == 124_439_808
