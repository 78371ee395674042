"""config.json readers against what transformers builds and FlopCounterMode counts: every case of tests/oracle/golden.json.

The numbers were measured on the real models (tests/oracle/measure.py); nothing here computes a count. The table of the families,
docs/families.md, is written from the same outcome: `python tests/test_families.py` rewrites it.
"""

from __future__ import annotations

import json
from functools import cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.flops import flops
from llmcx.answers.params import params
from llmcx.errors import InputError
from llmcx.huggingface import WHERE, from_config
from llmcx.huggingface.config import BEGINS, ENDS, HARMLESS, Config
from tests.helpers import between, write_between

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = json.loads((ROOT / "tests" / "oracle" / "golden.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = [case for case in GOLDEN["cases"] if case["kind"] in ("params", "flops")]
PAGE = ROOT / "docs/families.md"


def ours(case: dict[str, Any]) -> dict[str, int]:
    """Our figures for a case, by the names that the golden file uses."""
    spec = from_config(case["config"], case["id"])
    counted = params(spec)
    out = {"params": counted.total, "embedding": counted.embedding}
    # `varies`: experts that dropped tokens; which ones depends on the weights, and we count every token.
    if case["kind"] == "flops" and "varies" not in case:
        seq = case["decoder_seq"] if spec.reads_source else case["seq"]
        seen = {"images": case["images"], "grid": tuple(case["grid"])} if "images" in case else {}
        run = flops(spec, case["batch"], seq, source=case["seq"], convention="eager", **seen)
        out |= {"forward": run.forward.total, "forward_backward": run.train.total}
    return out


def outcome(case: dict[str, Any]) -> str:
    """exact, refused or wrong."""
    try:
        found = ours(case)
    except InputError:
        return "refused"
    return "exact" if all(found[key] == case[key] for key in found if key in case) else "wrong"


@cache
def outcomes() -> list[str]:
    """Of every case."""
    return [outcome(case) for case in CASES]


FAMILIES = {name: [*cases] for name, cases in groupby(sorted(CASES, key=itemgetter("model_type")), itemgetter("model_type"))}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_case(name: str) -> None:
    """Exact, or refused; a wrong number never."""
    wrong = {}
    for case in FAMILIES[name]:
        try:
            found = ours(case)
        except InputError as refusal:
            assert len(str(refusal).splitlines()) == 1, case["id"]
            continue
        both = [(found[key], case[key]) for key in found if key in case]
        if any(our != measured for our, measured in both):
            wrong[case["id"]] = both
    assert not wrong


def test_kimi_k2_is_deepseek_v3s_architecture() -> None:
    """Its released model_type is unknown to transformers, which builds the same shape as deepseek_v3."""
    case = next(case for case in CASES if case["id"] == "deepseek_v3/Kimi-K2")
    config = {**case["config"], "model_type": "kimi_k2"}
    assert params(from_config(config, "config.json")).total == case["params"] == 1_026_408_209_408


def test_the_language_model_of_a_multimodal_config() -> None:
    """What text_config leaves out is the text model's default, and a token of text meets that alone. Where a tower is not known
    it is not counted, and the answer says so.
    """
    case = next(case for case in CASES if case["id"] == "gemma3_text/default")
    spec = from_config({"model_type": "gemma3", "text_config": {}, "vision_config": {"hidden_size": 1152}}, "config.json")
    assert params(spec).active == case["params"] < params(spec).total
    spec = from_config({"model_type": "gemma3", "text_config": {}, "vision_config": {"model_type": "dino"}}, "config.json")
    assert params(spec).total == case["params"]
    assert any("towers" in note for note in spec.assumes)


def test_an_unknown_model_type_is_refused_unless_the_user_insists() -> None:
    config = {"model_type": "my_llama", "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 100}
    with pytest.raises(InputError, match="--as TYPE"):
        from_config(config, "config.json")
    spec = from_config(config, "config.json", "llama")
    assert any(note.startswith("warning") for note in spec.assumes)


@pytest.mark.parametrize(("key", "value"), [("num_latent_heads", 4), ("hidden_act", "swish2"), ("head_dim", "64")])
def test_a_key_or_value_that_is_not_understood_is_refused(key: str, value: object) -> None:
    with pytest.raises(InputError, match=key):
        from_config({"model_type": "llama", key: value}, "config.json")


def test_xielu_is_refused_where_its_numbers_are_not_counted() -> None:
    """It has two learned numbers a layer, as Apertus is read; transformers would build them in a LLaMA too."""
    with pytest.raises(InputError, match="hidden_act"):
        from_config({"model_type": "llama", "hidden_act": "xielu"}, "config.json")


def test_a_key_that_says_none_is_passed_over_with_a_note() -> None:
    """transformers has no such keys for a LLaMA; a LLaMA of Qwen's team that does say something is refused."""
    spec = from_config({"model_type": "llama", "sliding_window": None, "qkv_bias": False, "mlp_only_layers": []}, "config.json")
    assert any("mlp_only_layers=[], qkv_bias=False" in note for note in spec.assumes)
    with pytest.raises(InputError, match="sliding_window"):
        from_config({"model_type": "llama", "sliding_window": 4096}, "config.json")


def test_another_name_for_a_key_is_harmless_where_it_says_the_same() -> None:
    config = {"model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16}
    assert from_config({**config, "n_heads": 32}, "config.json") == from_config(config, "config.json")
    with pytest.raises(InputError, match="n_layers"):
        from_config({**config, "n_layers": 32}, "config.json")


def test_no_reader_asks_for_a_key_that_every_file_may_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is passed over in one family changes no count in another."""
    asked: set[tuple[str, str]] = set()
    get = Config.get

    def spy(c: Config, key: str) -> Any:
        if c.begins == BEGINS:  # a part that sees or hears passes over less
            asked.add((c.model_type, c.names.get(key, key)))
        return get(c, key)

    monkeypatch.setattr(Config, "get", spy)
    for case in CASES:
        try:
            from_config(case["config"], case["id"])
        except InputError:
            continue
    passed = {(name, key) for name, key in asked if key in HARMLESS or key.startswith(BEGINS) or key.endswith(ENDS)}
    # The context length of Kimi Linear and Ling, which is no cost, OPT's own name with an underscore, ERNIE's that ends as a
    # token's, FSMT's padding, after which its positions begin, and the epsilon by which Cohere's mixture says that its norm is an
    # RMS norm.
    assert passed == {
        ("kimi_linear", "model_max_length"),
        ("bailing_hybrid", "model_max_length"),
        ("opt", "_remove_final_layer_norm"),
        ("ernie", "use_task_id"),
        ("fsmt", "pad_token_id"),
        ("cohere2_moe", "rms_norm_eps"),
    }


@pytest.mark.parametrize("tied", [True, False])
def test_a_vision_model_ties_as_its_outer_file_says(tied: bool) -> None:
    """Qwen3-VL-8B and Qwen2.5-VL-7B without and with heads of their own, vocabulary · hidden_size more, counted on the whole
    models by transformers 5.23: 8,190,735,360 and 7,615,616,512 with. Qwen2.5-VL's is tied by either file, Qwen3-VL's by the
    outer alone.
    """
    case = {case["id"]: case["config"] for case in CASES}
    inner = {**case["qwen3_vl_text/Qwen3-VL-8B"], "tie_word_embeddings": False}
    eight = {"model_type": "qwen3_vl", "text_config": inner, "tie_word_embeddings": tied}
    assert params(from_config(eight, "config.json")).active == 8_190_735_360 - tied * 151_936 * 4096
    flat = {**case["qwen2_5_vl_text/Qwen2.5-VL-7B"], "model_type": "qwen2_5_vl", "vision_config": {"depth": 32}}
    seven = {**flat, "tie_word_embeddings": tied, "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
    assert params(from_config(seven, "config.json")).active == 7_615_616_512 - tied * 152_064 * 3584


def test_the_first_t5_files_name_an_older_class() -> None:
    case = next(case for case in CASES if case["id"] == "t5/tiny")
    old = {**case["config"], "architectures": ["T5WithLMHeadModel"]}
    assert params(from_config(old, "config.json")).total == case["params"]


def test_what_was_assumed_is_listed() -> None:
    spec = from_config({"model_type": "llama", "num_hidden_layers": 2}, "config.json")
    assert any("hidden_size=4096" in note and "num_hidden_layers" not in note for note in spec.assumes)


def test_a_preset_made_from_a_config_keeps_every_count() -> None:
    from llmcx.catalog.build import as_data, build

    for case in CASES:
        if case["kind"] != "flops":
            continue
        try:
            spec = from_config(case["config"], case["id"])
        except InputError:
            continue
        assert build(json.loads(json.dumps(as_data(spec)))) == spec


def table() -> str:
    """Families, cases tried, exact, refused, wrong."""
    tally: dict[str, dict[str, int]] = {name: {"exact": 0, "refused": 0, "wrong": 0} for name in sorted(WHERE)}
    for case, how in zip(CASES, outcomes(), strict=True):
        row = tally.setdefault(case["model_type"], {"exact": 0, "refused": 0, "wrong": 0})
        row[how] += 1
    rows = ["| model_type | cases | exact | refused | wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    total = {"exact": 0, "refused": 0, "wrong": 0}
    measured = {name: row for name, row in tally.items() if sum(row.values())}
    for name, row in sorted(measured.items()):
        rows.append(f"| {name} | {sum(row.values())} | {row['exact']} | {row['refused']} | {row['wrong']} |")
        total = {key: total[key] + row[key] for key in total}
    rows.append(f"| **all {len(measured)}** | {sum(total.values())} | {total['exact']} | {total['refused']} | {total['wrong']} |")
    head = f"torch {GOLDEN['torch']}, transformers {GOLDEN['transformers']}:"
    others = ", ".join(name for name in sorted(tally) if name not in measured)
    rows += ["", f"By hand, or against an index (tests/test_remote.py), or inside another of these: {others}."]
    return "\n".join([head, "", *rows])


def test_table_of_families_is_current() -> None:
    assert between(PAGE, "families") == table()


def test_at_least_95_in_100_are_exact_and_none_wrong() -> None:
    assert outcomes().count("wrong") == 0
    assert outcomes().count("exact") >= 0.95 * len(CASES)


if __name__ == "__main__":
    write_between(PAGE, "families", table())
